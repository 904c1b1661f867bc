import CZeroMQ
import Glibc
import Support

/// Owners of libzmq's handles: each is closed exactly once, by its only owner.

/// The error of the last libzmq call on this thread, in words.
func zeroMQErrorText(_ code: Int32 = zmq_errno()) -> String { String(cString: zmq_strerror(code)) }

/// The I/O threads of a process. Its sockets share it, so that it ends after the last of them, when their bytes are
/// sent or have lingered long enough.
///
/// `@unchecked Sendable`: libzmq's contexts may be used from any thread.
final class ZeroMQContext: @unchecked Sendable {
  fileprivate let handle: UnsafeMutableRawPointer

  init() {
    guard let handle = zmq_ctx_new() else { fatalError("no ZeroMQ context: \(zeroMQErrorText())") }
    self.handle = handle
  }

  deinit {
    while zmq_ctx_term(handle) != 0 && zmq_errno() == EINTR {}
  }
}

/// One socket. It belongs to one thread at a time.
struct ZeroMQSocket: ~Copyable {
  let handle: UnsafeMutableRawPointer
  private let context: ZeroMQContext

  /// - Throws: `InputError` when the process has too many open files.
  init(_ context: ZeroMQContext, kind: Int32) throws {
    guard let handle = zmq_socket(context.handle, kind) else {
      throw InputError("open socket", at: "ZeroMQ", expected: "a free file descriptor", found: zeroMQErrorText())
    }
    self.handle = handle
    self.context = context
  }

  deinit { zmq_close(handle) }

  func set(_ option: Int32, _ value: Int32) {
    let status = withUnsafeBytes(of: value) { zmq_setsockopt(handle, option, $0.baseAddress, $0.count) }
    precondition(status == 0, "socket option \(option) = \(value): \(zeroMQErrorText())")
  }

  func set(_ option: Int32, _ value: Int64) {
    let status = withUnsafeBytes(of: value) { zmq_setsockopt(handle, option, $0.baseAddress, $0.count) }
    precondition(status == 0, "socket option \(option) = \(value): \(zeroMQErrorText())")
  }

  func set(_ option: Int32, _ bytes: [UInt8]) {
    let status = bytes.withUnsafeBytes { zmq_setsockopt(handle, option, $0.baseAddress, $0.count) }
    // The value may be a secret.
    precondition(status == 0, "socket option \(option): \(zeroMQErrorText())")
  }

  /// - Throws: `InputError` when the endpoint is malformed, not on this machine, or taken.
  func bind(_ endpoint: String) throws {
    guard zmq_bind(handle, endpoint) == 0 else {
      throw InputError(
        "listen", at: endpoint, expected: "a free address of this machine, as tcp://HOST:PORT",
        found: zeroMQErrorText())
    }
  }

  /// - Throws: `InputError` when the endpoint is malformed. Whether anyone answers shows later.
  func connect(_ endpoint: String) throws {
    guard zmq_connect(handle, endpoint) == 0 else {
      throw InputError("connect", at: endpoint, expected: "an address, as tcp://HOST:PORT", found: zeroMQErrorText())
    }
  }

  /// Where the socket listens, with the port that the system chose for a wildcard.
  var lastEndpoint: String {
    var byteCount = 1024
    let bytes = [CChar](unsafeUninitializedCapacity: byteCount) { buffer, count in
      let status = zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, buffer.baseAddress, &byteCount)
      count = status == 0 ? byteCount : 0
    }
    return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  enum Outcome: Equatable {
    case done
    /// Nothing to read, or no room to write, now.
    case wouldBlock
    /// A ROUTER knows no such peer.
    case unroutable
    case failed(String)
  }

  private func outcome(_ status: Int32) -> Outcome {
    if status >= 0 { return .done }
    return switch zmq_errno() {
    case EAGAIN, EINTR: .wouldBlock
    case EHOSTUNREACH: .unroutable
    case let code: .failed(zeroMQErrorText(code))
    }
  }

  /// Reads one frame of a message without waiting.
  func receive(_ frame: ZeroMQFrame) -> Outcome { outcome(zmq_msg_recv(frame.message, handle, ZMQ_DONTWAIT)) }

  /// Hands a frame over without waiting; on success it is empty afterwards.
  func send(_ frame: ZeroMQFrame, more: Bool = false) -> Outcome {
    outcome(zmq_msg_send(frame.message, handle, more ? ZMQ_DONTWAIT | ZMQ_SNDMORE : ZMQ_DONTWAIT))
  }
}

/// One frame's memory, owned by libzmq.
///
/// `@unchecked Sendable`: the encoder fills a frame before any other thread has it, and afterwards only the reactor's
/// thread touches it.
final class ZeroMQFrame: @unchecked Sendable {
  fileprivate let message: UnsafeMutablePointer<zmq_msg_t>

  /// An empty frame, to receive into.
  init() {
    message = .allocate(capacity: 1)
    zmq_msg_init(message)
  }

  init(byteCount: Int) {
    message = .allocate(capacity: 1)
    guard zmq_msg_init_size(message, byteCount) == 0 else { fatalError("out of memory for \(byteCount) bytes") }
  }

  convenience init(_ bytes: [UInt8]) {
    self.init(byteCount: bytes.count)
    self.bytes.copyBytes(from: bytes)
  }

  deinit {
    zmq_msg_close(message)
    message.deallocate()
  }

  /// Valid until the frame is sent, received into, or gone.
  var bytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: zmq_msg_data(message), count: zmq_msg_size(message))
  }

  /// The text that the ZAP handler's answer attached to the connection that the frame came from; nil in the clear.
  var userID: String? { zmq_msg_gets(message, "User-Id").map { String(cString: $0) } }

  /// The descriptor of the connection that the frame came from; -1 when there is none.
  var sourceDescriptor: Int32 { zmq_msg_get(message, ZMQ_SRCFD) }

  /// Whether the message has further frames.
  var hasMore: Bool { zmq_msg_more(message) != 0 }
}
