import Foundation
import Support
import Synchronization
import Tasks
import Wire

/// Why a worker ended although its run is not over. The reason is one line that names what to fix.
public struct WorkerFailure: Error, Equatable, CustomStringConvertible {
  public var reason: String
  public var description: String { reason }
}

/// The rollout worker's shell: gives the reactor's events to `RolloutState` and performs its effects.
///
/// It decides nothing. The event loop is one task; decoding happens on a thread of its own (`DecodingThread`) and
/// scoring on others (`ScoringQueue`), so no decode step and no reward delays a heartbeat.
public final class RolloutRunner: Sendable {
  private let member: FarmMember
  private let makeEngine: @Sendable () -> any RolloutEngine
  private let rewards: RewardSet
  private let reactor: Reactor
  private let log: @Sendable (String) -> Void
  private let isDrainAsked = Atomic(false)

  /// - Parameters:
  ///   - runID: the run to join; empty joins any.
  ///   - name: shown to people.
  ///   - threads: kernel threads, at least 1.
  ///   - slots: samples decoded at once, at least 1.
  ///   - rewards: the rewards that can score a completion.
  ///   - engine: makes another engine than this program's own, on the decoding thread.
  ///   - reactor: has a DEALER named `control`, connected to the coordinator, and an unconnected DEALER named
  ///     `weights`. The caller closes it, which also sends what is still under way.
  ///   - coordinator: its endpoint, for people.
  ///   - timeoutSeconds: the longest wait for anything that the worker needs; then it ends with the reason.
  ///   - incarnation: random per process.
  ///   - log: a line for people.
  public init(
    runID: String = "", name: String, threads: Int, slots: Int, rewards: RewardSet = .builtIn,
    engine: (@Sendable () -> any RolloutEngine)? = nil, reactor: Reactor, coordinator: String = "",
    timeoutSeconds: Double = 21_600, incarnation: UInt64 = UInt64.random(in: 1 ... .max),
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    precondition(threads > 0 && slots > 0, "\(threads) threads, \(slots) slots")
    member = FarmMember(
      Hello(
        role: .worker, runID: runID, name: name, incarnation: incarnation, host: ProcessInfo.processInfo.hostName,
        threads: UInt32(threads), slots: UInt32(slots)),
      coordinator: coordinator, timeout: Milliseconds(timeoutSeconds * 1000))
    makeEngine = engine ?? { NativeRolloutEngine(threads: threads, slots: slots) }
    self.rewards = rewards
    self.reactor = reactor
    self.log = log
  }

  /// Asks the worker to give its leases back and leave (SIGTERM); `run` then returns. Safe from any thread.
  public func drain() { isDrainAsked.store(true, ordering: .relaxed) }

  /// Runs until the run is over or the worker is drained.
  /// - Returns: why it ended, for people.
  /// - Throws: `WorkerFailure` when refused or when the weights are no model, `CancellationError` when the task is
  ///   cancelled.
  @discardableResult
  public func run() async throws -> String {
    var loop = RolloutLoop(RolloutState(as: member), reactor: reactor, log: log)
    loop.start(makeEngine: makeEngine, rewards: rewards)
    defer { loop.close() }
    var isDraining = false
    for await event in reactor.events {
      if !isDraining, isDrainAsked.load(ordering: .relaxed) {
        isDraining = true
        loop.take(.drainRequested)
      }
      loop.takeOutcomes()
      loop.take(event)
      switch loop.ending {
      case nil: continue
      case .finished(let reason)?: return reason
      case .failed(let reason)?: throw WorkerFailure(reason: reason)
      }
    }
    throw CancellationError()
  }
}

/// The event loop's own: the worker's state and the way to the decoding thread.
private struct RolloutLoop {
  private var state: RolloutState
  private(set) var ending: RolloutState.Ending?
  private let reactor: Reactor
  private let log: @Sendable (String) -> Void
  private let commands = Mailbox<DecodingThread.Command>()
  private let outcomes = Mailbox<RolloutState.Event>()
  private let tokensSampled = TokenCounter()

  init(_ state: RolloutState, reactor: Reactor, log: @escaping @Sendable (String) -> Void) {
    self.state = state
    self.reactor = reactor
    self.log = log
  }

  mutating func start(makeEngine: @escaping @Sendable () -> any RolloutEngine, rewards: RewardSet) {
    DecodingThread.start(
      makeEngine: makeEngine, rewards: rewards, commands: commands, outcomes: outcomes, tokensSampled: tokensSampled)
    take(.started)
  }

  func close() { commands.close() }

  // MARK: Events

  /// What the decoding thread did.
  mutating func takeOutcomes() {
    for event in outcomes.take() { take(event) }
  }

  mutating func take(_ event: TransportEvent) {
    switch event {
    case .received(let message, .control, from: _): take(.received(message))
    case .received(let message, .weights, from: _): take(.receivedFromLearner(message))
    case .tick: take(.tick(tokensSampled: tokensSampled.value.load(ordering: .relaxed)))
    case .malformed(let socket, from: _, let reason): log("a malformed frame on \(socket.rawValue): \(reason)")
    case .connectFailed(_, let endpoint, let reason): log("cannot connect to \(endpoint): \(reason)")
    case .link(let socket, let link):
      if case .failing(let reason) = link { log("\(socket.rawValue): \(reason)") }
      take(socket == .control ? .link(link) : .learnerLink(link))
    case .access: break
    }
  }

  mutating func take(_ event: RolloutState.Event) {
    guard ending == nil else { return }
    for effect in state.on(event, now: MonotonicClock.now()) { perform(effect) }
  }

  // MARK: Effects

  private mutating func perform(_ effect: RolloutState.Effect) {
    switch effect {
    case .send(let message): reactor.send(message, on: .control)
    case .connectToLearner(let endpoint): reactor.connect(.weights, to: endpoint)
    case .sendToLearner(let message): reactor.send(message, on: .weights)
    case .load(let weights): commands.post(.load(weights))
    case .generate(let lease): commands.post(.generate(lease))
    case .cancel(let id): commands.post(.cancel(id))
    case .finishPartially(let id, let sizeMin): commands.post(.finishPartially(id, sizeMin: sizeMin))
    case .log(let line): log(line)
    case .end(let end): ending = end
    }
  }
}
