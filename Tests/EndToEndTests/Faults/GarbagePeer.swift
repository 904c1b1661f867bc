import Foundation
import Glibc
import Support
import Wire

/// A peer that follows no rule: it speaks TCP, and as much of ZeroMQ's protocol (ZMTP 3.0, RFC 23) as it takes to be
/// heard before it misbehaves.
struct GarbagePeer {
  enum Attack: CaseIterable {
    /// Random bytes where the greeting is due.
    case noise
    /// Half a greeting, and silence.
    case halfGreeting
    /// A frame said to be 2^62 bytes long.
    case endlessFrame
    /// A frame said to be as long as the control socket takes, of which a few bytes come.
    case largestFrame
    /// Whole frames of random bytes.
    case randomFrames
    /// A hello cut short anywhere.
    case truncatedHello
    /// A hello with a bit turned over.
    case damagedHello
    /// More requests than anyone needs.
    case flood
  }

  var port: UInt16
  private(set) var random: RandomStream
  private var held: [Int32] = []

  init(port: UInt16, seed: UInt64) {
    self.port = port
    random = RandomStream(seed: seed, purpose: .test, 7)
  }

  /// Attacks once. What is to be held open stays so until `hangUp`.
  mutating func attack(_ attack: Attack) {
    let socket = connect()
    guard socket >= 0 else { return }
    held.append(socket)
    switch attack {
    case .noise: write(bytes(Int.random(in: 1...65_536, using: &random)), to: socket)
    case .halfGreeting: write(Array(Self.greeting.prefix(20)), to: socket)
    case .endlessFrame: write(Self.opening + Self.header(1 << 62) + bytes(100), to: socket)
    case .largestFrame: write(Self.opening + Self.header(256 << 20 - 1) + bytes(100), to: socket)
    case .randomFrames:
      write(Self.opening, to: socket)
      for _ in 0..<20 { write(Self.frame(bytes(Int.random(in: 0...3000, using: &random))), to: socket) }
    case .truncatedHello:
      write(Self.opening, to: socket)
      for _ in 0..<20 {
        write(Self.frame(Array(hello.prefix(Int.random(in: 0..<hello.count, using: &random)))), to: socket)
      }
    case .damagedHello:
      write(Self.opening, to: socket)
      for _ in 0..<4 {
        var damaged = hello
        damaged[Int.random(in: 0..<damaged.count, using: &random)] ^= 1 << UInt8.random(in: 0...7, using: &random)
        write(Self.frame(damaged), to: socket)
      }
    case .flood:
      let request = Self.frame(MessageCodec.encode(.statusRequest))
      write(Self.opening + (0..<2000).flatMap { _ in request }, to: socket)
    }
    if held.count > 64 { hangUp() }
  }

  /// Closes every connection.
  mutating func hangUp() {
    for socket in held { close(socket) }
    held = []
  }

  // MARK: Bytes

  private static let greeting: [UInt8] =
    [0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 0] + Array("NULL".utf8) + [UInt8](repeating: 0, count: 48)

  /// Greeting and READY of a DEALER.
  private static let opening: [UInt8] = {
    func property(_ name: String, _ value: String) -> [UInt8] {
      [UInt8(name.utf8.count)] + name.utf8 + [0, 0, 0, UInt8(value.utf8.count)] + value.utf8
    }
    let ready = [5] + Array("READY".utf8) + property("Socket-Type", "DEALER") + property("Identity", "")
    return greeting + [4, UInt8(ready.count)] + ready
  }()

  /// Of a long frame.
  private static func header(_ byteCount: UInt64) -> [UInt8] {
    [2] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: byteCount >> (8 * $0)) }
  }

  private static func frame(_ bytes: [UInt8]) -> [UInt8] { header(UInt64(bytes.count)) + bytes }

  private var hello: [UInt8] {
    MessageCodec.encode(
      .hello(Hello(role: .worker, name: "garbage", incarnation: 1, host: "nowhere", slots: 4)))
  }

  private mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
  }

  // MARK: Socket

  private func connect() -> Int32 {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var timeout = timeval(tv_sec: 1, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if status == 0 { return socket }
    close(socket)
    return -1
  }

  /// As much as the other side takes.
  private func write(_ bytes: [UInt8], to socket: Int32) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(socket, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count <= 0 { return }
      sent += count
    }
  }
}
