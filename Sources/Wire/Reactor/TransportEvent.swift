import Support
import Synchronization

/// The events that the reactor reports to its process.
public enum TransportEvent: Equatable, Sendable {
  /// On a DEALER the sender is always `PeerAddress.server`.
  case received(Message, SocketName, from: PeerAddress)
  /// A peer's first malformed frame, and once more when it is disconnected for them; likewise for sending too much.
  /// Others are only counted. Also a message for the peer that is longer than any frame may be, and was not sent.
  case malformed(SocketName, from: PeerAddress, reason: String)
  /// An endpoint given to `connect` cannot be one.
  case connectFailed(SocketName, endpoint: String, reason: String)
  /// The state of a DEALER's connection to its server has changed.
  case link(SocketName, LinkState)
  /// A line for people about access to a ROUTER: which connection was rejected or cut and why, once a minute for each
  /// host and reason; an allow-list that cannot be read.
  case access(SocketName, line: String)
  /// At the set interval, from the monotonic clock. A consumer that is behind gets one for all that it missed.
  case tick(now: Milliseconds)
}

/// The bounded queue between the reactor's thread and the one task that reads events.
///
/// It is never full for the reactor: without `hasRoom` it stops reading the sockets, and ZeroMQ's high-water marks then
/// hold back the senders. Nothing is dropped; a tick replaces the tick that still waits.
final class EventQueue: Sendable {
  private struct State {
    var events: [(event: TransportEvent, byteCount: Int)] = []
    var head = 0
    var byteCount = 0
    var tickWaits = false
    var isFinished = false
    var isStarved = false
    var waiter: CheckedContinuation<TransportEvent?, Never>?
  }

  private let state = Mutex(State())
  private let countMax: Int
  private let byteCountMax: Int
  /// Called when room appears again after `hasRoom` said no.
  private let onRoom: @Sendable () -> Void

  init(countMax: Int, byteCountMax: Int, onRoom: @escaping @Sendable () -> Void) {
    self.countMax = countMax
    self.byteCountMax = byteCountMax
    self.onRoom = onRoom
  }

  /// Whether the reactor may read another message. Saying no asks for `onRoom`.
  func hasRoom() -> Bool {
    state.withLock { state in
      let hasRoom = state.events.count - state.head < countMax && state.byteCount < byteCountMax
      state.isStarved = !hasRoom
      return hasRoom
    }
  }

  /// `byteCount`: size of the frame that the event came from.
  func push(_ event: TransportEvent, byteCount: Int = 0) {
    let waiter = state.withLock { state -> CheckedContinuation<TransportEvent?, Never>? in
      if state.isFinished { return nil }
      if let waiter = state.waiter {
        state.waiter = nil
        return waiter
      }
      if case .tick = event {
        if state.tickWaits { return nil }
        state.tickWaits = true
      }
      state.events.append((event, byteCount))
      state.byteCount += byteCount
      return nil
    }
    waiter?.resume(returning: event)
  }

  /// The next event; nil when the queue is finished and empty, or the task is cancelled. For one task at a time.
  func next() async -> TransportEvent? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let (event, isDone, hasRoom) = state.withLock { state -> (TransportEvent?, Bool, Bool) in
          precondition(state.waiter == nil, "two tasks read the events of one reactor")
          if let event = Self.pop(&state) {
            let hasRoom =
              state.isStarved && state.events.count - state.head <= countMax / 2 && state.byteCount <= byteCountMax / 2
            if hasRoom { state.isStarved = false }
            return (event, true, hasRoom)
          }
          if state.isFinished || Task.isCancelled { return (nil, true, false) }
          state.waiter = continuation
          return (nil, false, false)
        }
        if isDone { continuation.resume(returning: event) }
        if hasRoom { onRoom() }
      }
    } onCancel: {
      takeWaiter()?.resume(returning: nil)
    }
  }

  private static func pop(_ state: inout State) -> TransportEvent? {
    guard state.head < state.events.count else { return nil }
    let (event, byteCount) = state.events[state.head]
    state.head += 1
    state.byteCount -= byteCount
    if case .tick = event { state.tickWaits = false }
    if state.head == state.events.count {
      state.events.removeAll(keepingCapacity: true)
      state.head = 0
    } else if state.head >= 1024 {
      state.events.removeFirst(state.head)
      state.head = 0
    }
    return event
  }

  private func takeWaiter() -> CheckedContinuation<TransportEvent?, Never>? {
    state.withLock { state in
      defer { state.waiter = nil }
      return state.waiter
    }
  }

  /// Nothing more will come; what waits can still be read.
  func finish() {
    state.withLock { $0.isFinished = true }
    takeWaiter()?.resume(returning: nil)
  }
}
