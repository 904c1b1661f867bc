import CZeroMQ
import Support

/// The ZAP handler (RFC 27) of a process with a ROUTER and keys, served by the reactor's thread: libzmq asks it about
/// every CURVE peer before a message of that peer is read.
///
/// Without a handler libzmq admits every peer that has any key. So the handler is bound before the sockets are, it
/// outlives them, and no message is read of a connection whose key `AccessGate` does not admit.
final class ZAPHandler {
  /// A connection that was rejected, for the log.
  struct Refusal: Equatable {
    var domain: String
    var address: String
    var reason: String
  }

  static let watchMilliseconds: Milliseconds = 500

  private let socket: ZeroMQSocket
  private var watch: AllowListWatch
  private var watchedAt: Milliseconds = 0
  private(set) var gate: AccessGate

  /// - Throws: `InputError` when the allow-list cannot be read.
  init(keys: SocketKeys, allowListPath: String, in context: ZeroMQContext) throws {
    watch = AllowListWatch(path: allowListPath)
    gate = AccessGate(serverKey: keys.serverKey, allowed: try watch.changed() ?? AllowList())
    socket = try ZeroMQSocket(context, kind: ZMQ_REP)
    socket.set(ZMQ_LINGER, Int32(0))
    try socket.bind("inproc://zeromq.zap.01")
  }

  var handle: UnsafeMutableRawPointer { socket.handle }

  /// Answers what libzmq asks now.
  /// - Returns: the connections that were rejected.
  func answer(now: Milliseconds) -> [Refusal] {
    var refusals: [Refusal] = []
    let frame = ZeroMQFrame()
    while socket.receive(frame) == .done {
      var frames = [Array(frame.bytes)]
      while frame.hasMore, socket.receive(frame) == .done { frames.append(Array(frame.bytes)) }
      // libzmq itself asks; another question is a bug, and without an answer no peer is admitted.
      guard let request = AccessGate.Request(frames) else {
        preconditionFailure("a ZAP request of \(frames.count) frames")
      }
      let (reply, judgement) = gate.reply(to: request, now: now)
      for (index, bytes) in reply.enumerated() {
        _ = socket.send(ZeroMQFrame(bytes), more: index < reply.count - 1)
      }
      if case .refused(let reason) = judgement {
        refusals.append(Refusal(domain: request.domain, address: request.address, reason: reason))
      }
    }
    return refusals
  }

  /// Reads the allow-list again when it has changed.
  /// - Returns: true when it is another one now.
  /// - Throws: `InputError` when it cannot be read; the one before stays in force.
  func reread(now: Milliseconds) throws -> Bool {
    guard now - watchedAt >= Self.watchMilliseconds else { return false }
    watchedAt = now
    guard let list = try watch.changed() else { return false }
    gate.allowed = list
    return true
  }

  func ban(_ key: PublicKey, now: Milliseconds) { gate.ban(key, now: now) }
}
