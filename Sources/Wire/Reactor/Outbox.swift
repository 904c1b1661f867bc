import Glibc
import Synchronization

/// What a process has asked of its reactor and the reactor has not done yet, and the pipe that wakes it.
///
/// Bounded in messages and bytes. A message that finds it full is dropped and counted: every message of the farm is
/// repeated until it is answered, so losing one costs time, and waiting here could stop the very task that reads
/// events.
final class Outbox: Sendable {
  enum Command: Sendable {
    case send(ZeroMQFrame, SocketName, PeerAddress)
    case connect(SocketName, String)
  }

  private struct State {
    var commands: [Command] = []
    var byteCount = 0
    var isClosing = false
    var dropped: UInt64 = 0
  }

  static let countMax = 1 << 16
  static let byteCountMax = 1 << 30

  private let state = Mutex(State())
  /// The end of the pipe that the reactor polls.
  let wakeUp: Int32
  private let wakeUpWriter: Int32

  init() {
    var ends: [Int32] = [-1, -1]
    precondition(pipe(&ends) == 0, "no pipe: errno \(errno)")
    for end in ends {
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
    }
    wakeUp = ends[0]
    wakeUpWriter = ends[1]
  }

  deinit {
    close(wakeUp)
    close(wakeUpWriter)
  }

  /// False when the message was dropped.
  func post(_ command: Command) -> Bool {
    let (isPosted, isFirst) = state.withLock { state -> (Bool, Bool) in
      var byteCount = 0
      if case .send(let frame, _, _) = command { byteCount = frame.bytes.count }
      guard
        !state.isClosing, state.commands.count < Self.countMax, state.byteCount + byteCount <= Self.byteCountMax
      else {
        state.dropped += 1
        return (false, false)
      }
      state.commands.append(command)
      state.byteCount += byteCount
      return (true, state.commands.count == 1)
    }
    if isFirst { wake() }
    return isPosted
  }

  var dropped: UInt64 { state.withLock(\.dropped) }

  func beginClosing() {
    state.withLock { $0.isClosing = true }
    wake()
  }

  /// A full pipe wakes the reactor as well as one byte does.
  func wake() {
    var byte: UInt8 = 0
    _ = write(wakeUpWriter, &byte, 1)
  }

  /// Everything posted since the last time, and whether this was the last.
  func takeAll() -> (commands: [Command], isClosing: Bool) {
    withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
      while read(wakeUp, buffer.baseAddress, buffer.count) == buffer.count {}
    }
    return state.withLock { state in
      defer {
        state.commands = []
        state.byteCount = 0
      }
      return (state.commands, state.isClosing)
    }
  }
}
