import Foundation
import Support
import Synchronization
import Tasks
import Wire

/// The body of the decoding thread: commands in, engine calls, outcomes out.
///
/// It makes the engine and is the only one who calls it, so a long decode step delays no heartbeat. The event loop's
/// commands come through `commands`, and so do the scores that a scoring thread has ready; outcomes are events for
/// `RolloutState`.
package struct DecodingThread {
  package enum Command: Sendable {
    /// The engine is idle.
    case load(FetchedWeights)
    case generate(Lease)
    case cancel(LeaseID)
    case finishPartially(LeaseID, sizeMin: Int)
    case scored(ScoredSample)
  }

  private let engine: any RolloutEngine
  private var sampler: GroupSampler

  /// Starts the thread; it ends when `commands` is closed.
  /// - Parameters:
  ///   - makeEngine: called on that thread.
  ///   - tokensSampled: where the event loop reads the number of tokens since the start.
  package static func start(
    makeEngine: @escaping @Sendable () -> any RolloutEngine, rewards: RewardSet, commands: Mailbox<Command>,
    outcomes: Mailbox<RolloutState.Event>, tokensSampled: TokenCounter
  ) {
    let thread = Thread {
      let scoring = ScoringQueue(rewards) { commands.post(.scored($0)) }
      defer { scoring.close() }
      var decoding = DecodingThread(makeEngine())
      while !commands.isClosed {
        guard let batch = decoding.engine.isIdle ? commands.wait() : commands.take() else { return }
        for command in batch { decoding.perform(command).forEach(outcomes.post) }
        if !decoding.engine.isIdle { decoding.sampler.step().forEach(outcomes.post) }
        decoding.sampler.takeUnscored().forEach(scoring.post)
        tokensSampled.value.store(decoding.engine.tokensSampled, ordering: .relaxed)
      }
    }
    thread.stackSize = 8 << 20
    thread.start()
  }

  private init(_ engine: any RolloutEngine) {
    self.engine = engine
    sampler = GroupSampler(engine)
  }

  private mutating func perform(_ command: Command) -> [RolloutState.Event] {
    switch command {
    case .load(let weights):
      do {
        return [.loaded(try load(weights))]
      } catch {
        return [.loadFailed("\(error)")]
      }
    case .generate(let lease):
      do {
        try sampler.start(lease)
        return []
      } catch {
        return [.leaseImpossible(lease.id, reason: "\(error)")]
      }
    case .cancel(let id):
      sampler.cancel(id)
      return []
    case .finishPartially(let id, let sizeMin): return sampler.finishPartially(id, sizeMin: sizeMin)
    case .scored(let sample): return sampler.scored(sample)
    }
  }

  private mutating func load(_ weights: FetchedWeights) throws -> any HeldWeights {
    let manifest = weights.manifest
    try engine.abilities.check(manifest)
    let held = try engine.load(weights)
    if manifest.part == .policy { sampler.use(manifest.version) }
    return held
  }
}

/// A count that the decoding thread writes and the event loop reads.
package final class TokenCounter: Sendable {
  package let value = Atomic<UInt64>(0)
  package init() {}
}
