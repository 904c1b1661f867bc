import Foundation
import Glibc
import Synchronization

/// A server on the loopback that answers as a test says, one request a connection.
final class HTTPStub: Sendable {
  struct Request: Sendable {
    var method: String
    var path: String
    var headers: String
    var body: [UInt8]
  }
  typealias Handler = @Sendable (Request) -> (status: Int, body: String)

  private let listener: Int32
  private let log = Mutex<[Request]>([])
  let port: Int

  var url: String { "http://127.0.0.1:\(port)/v1" }
  var requests: [Request] { log.withLock { $0 } }

  init(_ handler: @escaping Handler) throws {
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = listener
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, size) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &size) == 0
      }
    }
    guard isBound else { throw POSIXError(.EADDRNOTAVAIL) }
    port = Int(UInt16(bigEndian: address.sin_port))
    Thread { [weak self] in
      while case let connection = accept(listener, nil, nil), connection >= 0 {
        if let request = Self.read(connection) {
          self?.log.withLock { $0.append(request) }
          let (status, body) = handler(request)
          let text =
            "HTTP/1.1 \(status) Status\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
          _ = Array(text.utf8).withUnsafeBytes {
            send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
          }
        }
        close(connection)
      }
      // Here and nowhere else: closed by another thread, its number could be another stub's listener at the next
      // `accept`.
      close(listener)
    }.start()
  }

  /// Ends the thread's `accept`.
  deinit { shutdown(listener, Int32(SHUT_RDWR)) }

  private static func read(_ connection: Int32) -> Request? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      if let head = bytes.firstRange(of: Array("\r\n\r\n".utf8)) {
        let text = String(decoding: bytes[..<head.lowerBound], as: UTF8.self)
        let lengthLine = text.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
        let length = lengthLine.flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) } ?? 0
        let words = text.split(separator: " ")
        if bytes.count - head.upperBound >= length, words.count > 2 {
          return Request(
            method: String(words[0]), path: String(words[1]), headers: text, body: Array(bytes[head.upperBound...]))
        }
      }
      let count = recv(connection, &buffer, buffer.count, 0)
      if count <= 0 { return nil }
      bytes += buffer[..<count]
    }
  }
}
