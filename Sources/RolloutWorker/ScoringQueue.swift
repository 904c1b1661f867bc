import Foundation
import Prompts
import Support
import Synchronization
import Tasks
import Wire

/// A completion that waits for its scores.
public struct UnscoredSample: Sendable {
  /// The ticket of the group that the sample belongs to.
  public var ticket: ScoringTicket
  public var lease: Lease
  /// The sample's index in its group, 0 ..< G.
  public var sample: Int
  /// The completion's text without special tokens.
  public var text: String
}

/// The scores of a completion.
public struct ScoredSample: Sendable {
  public var ticket: ScoringTicket
  public var lease: LeaseID
  /// The sample's index in its group, 0 ..< G.
  public var sample: Int
  public var scores: [NamedScore]
}

/// Identifies one group while it is scored: it separates the scores of an attempt at a lease from those of an earlier
/// one, and lets the scoring threads skip samples whose group was cancelled.
public final class ScoringTicket: Sendable {
  private let cancelled = Atomic(false)

  public init() {}

  public func cancel() { cancelled.store(true, ordering: .relaxed) }
  public var isCancelled: Bool { cancelled.load(ordering: .relaxed) }
}

extension RewardSet {
  /// Scores a completion, on the calling thread.
  public func score(_ sample: UnscoredSample) -> ScoredSample {
    ScoredSample(
      ticket: sample.ticket, lease: sample.lease.id, sample: sample.sample,
      scores: scores(of: sample.text, for: sample.lease.reward))
  }
}

/// Scores completions on threads of its own, so that decoding never waits for a reward.
///
/// Every completion is scored for itself, and a group is put together by its samples' indices: the order in which
/// scores come back changes nothing. Bounded by the leases that a worker takes (`RolloutState.Limits.undeliveredMax`).
package final class ScoringQueue: Sendable {
  private let samples = Mailbox<UnscoredSample>()

  /// Starts the threads.
  /// - Parameters:
  ///   - threads: completions scored at once.
  ///   - deliver: gets every scored sample whose ticket is not cancelled, on a scoring thread.
  package init(
    _ rewards: RewardSet, threads: Int = 1, deliver: @escaping @Sendable (ScoredSample) -> Void
  ) {
    precondition(threads > 0, "\(threads) scoring threads")
    for _ in 0..<threads {
      let samples = samples
      let thread = Thread {
        while let sample = samples.waitForOne() {
          if !sample.ticket.isCancelled { deliver(rewards.score(sample)) }
        }
      }
      thread.stackSize = 8 << 20
      thread.start()
    }
  }

  package func post(_ sample: UnscoredSample) { samples.post(sample) }

  /// No more samples will come; the threads end when those that wait are scored.
  package func close() { samples.close() }
}
