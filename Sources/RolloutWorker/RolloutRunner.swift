import Core
import Foundation
import Synchronization
import Wire

/// Why a worker ended although its run is not over. The reason is one line that names what to mend.
public struct WorkerFailure: Error, Equatable, CustomStringConvertible {
  public var reason: String
  public var description: String { reason }
}

/// The rollout worker's shell: gives the reactor's events to `RolloutState` and to `WeightsFetcher`, and performs their
/// effects.
///
/// It decides nothing. The event loop is one task; decoding happens on a thread of its own (`PolicyEngine`), so a long
/// decode step delays no heartbeat.
public final class RolloutRunner: Sendable {
  private let member: FarmMember
  private let reactor: Reactor
  private let log: @Sendable (String) -> Void
  private let isDrainAsked = Atomic(false)

  /// - Parameters:
  ///   - runID: the run to join; empty joins any.
  ///   - name: shown to people.
  ///   - threads: kernel threads, at least 1.
  ///   - slots: samples decoded at once, at least 1.
  ///   - reactor: has a DEALER named `control`, connected to the coordinator, and an unconnected DEALER named `weights`. The
  ///     caller closes it, which also sends what is still under way.
  ///   - coordinator: its endpoint, for people.
  ///   - patienceSeconds: the worker ends when something that it needs has not come for so long.
  ///   - incarnation: random per process.
  ///   - log: a line for people.
  public init(
    runID: String = "", name: String, threads: Int, slots: Int, reactor: Reactor, coordinator: String = "",
    patienceSeconds: Double = 21_600, incarnation: UInt64 = UInt64.random(in: 1 ... .max),
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    precondition(threads > 0 && slots > 0, "\(threads) threads, \(slots) slots")
    member = FarmMember(
      Hello(
        role: .worker, runID: runID, name: name, incarnation: incarnation, host: ProcessInfo.processInfo.hostName,
        threads: UInt32(threads), slots: UInt32(slots)),
      coordinator: coordinator, timeout: Milliseconds(patienceSeconds * 1000))
    self.reactor = reactor
    self.log = log
  }

  /// Asks the worker to give its leases back and leave (SIGTERM); `run` then returns. Safe from any thread.
  public func drain() { isDrainAsked.store(true, ordering: .relaxed) }

  /// Runs until the run is over or the worker is drained.
  /// - Returns: why it ended, for people.
  /// - Throws: `WorkerFailure` when refused or when the weights are no model, `CancellationError` when the task is cancelled.
  @discardableResult
  public func run() async throws -> String {
    var loop = WorkerLoop(member: member, reactor: reactor, log: log)
    defer { loop.close() }
    loop.take(.started)
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

/// The event loop's own: the worker's state, the fetcher, and the way to the decoding thread.
private struct WorkerLoop {
  private var state: RolloutState
  private var fetcher = WeightsFetcher()
  /// Fetched, and not yet given to the decoder.
  private var fetched: FetchedWeights?
  private let reactor: Reactor
  private let log: @Sendable (String) -> Void
  private let commands = Mailbox<PolicyEngine.Command>()
  private let outcomes = Mailbox<PolicyEngine.Outcome>()
  private let tokensSampled = TokenCounter()
  private(set) var ending: RolloutState.Ending?

  init(member: FarmMember, reactor: Reactor, log: @escaping @Sendable (String) -> Void) {
    state = RolloutState(as: member)
    self.reactor = reactor
    self.log = log
    let (commands, outcomes, tokensSampled) = (commands, outcomes, tokensSampled)
    let thread = Thread {
      PolicyEngine.run(
        threads: Int(member.hello.threads), slots: Int(member.hello.slots), commands: commands, outcomes: outcomes,
        tokensSampled: tokensSampled)
    }
    thread.stackSize = 8 << 20
    thread.start()
  }

  func close() { commands.close() }

  /// What the decoding thread did.
  mutating func takeOutcomes() {
    for outcome in outcomes.take() {
      switch outcome {
      case .event(let event): take(event)
      case .loaded(let held):
        if held.manifest.part == .policy { take(.policyLoaded(held.manifest.version)) }
        fetch(.loaded(held))
      }
    }
  }

  mutating func take(_ event: TransportEvent) {
    switch event {
    case .received(let message, .control, from: _): take(.received(message))
    case .received(let message, .weights, from: _): fetch(.received(message))
    case .tick:
      take(.tick(tokensSampled: tokensSampled.value.load(ordering: .relaxed)))
      fetch(.tick)
    case .malformed(let socket, from: _, let reason): log("a malformed frame on \(socket.rawValue): \(reason)")
    case .connectFailed(_, let endpoint, let reason): log("cannot connect to \(endpoint): \(reason)")
    case .link(let socket, let state):
      if case .failing(let reason) = state { log("\(socket.rawValue): \(reason)") }
      take(socket == .control ? .link(state) : .weightsLink(state))
    case .access: break
    }
  }

  mutating func take(_ event: RolloutState.Event) {
    guard ending == nil else { return }
    for effect in state.on(event, now: MonotonicClock.now()) {
      switch effect {
      case .send(let message): reactor.send(message, on: .control)
      case .fetch(let announced):
        reactor.connect(.weights, to: announced.weightsEndpoint)
        fetch(.announced(announced.version))
      case .load(let version):
        guard let weights = fetched, weights.manifest.version == version else {
          preconditionFailure("\(version) is to be loaded, but was not fetched")
        }
        fetched = nil
        commands.post(.load(weights))
      case .generate(let lease): commands.post(.generate(lease))
      case .cancel(let id): commands.post(.cancel(id))
      case .shrink(let id, let survivorsMin): commands.post(.shrink(id, survivorsMin: survivorsMin))
      case .log(let line): log(line)
      case .end(let end): ending = end
      }
    }
  }

  private mutating func fetch(_ event: WeightsFetcher.Event) {
    for effect in fetcher.on(event, now: MonotonicClock.now()) {
      switch effect {
      case .send(let message): reactor.send(message, on: .weights)
      case .finished(let weights) where weights.manifest.part == .baseModel: commands.post(.load(weights))
      case .finished(let weights):
        fetched = weights
        take(.weightsFetched(weights.manifest.version))
      case .rejected(let reason): log("weights: \(reason)")
      }
    }
  }
}
