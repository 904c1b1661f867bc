import Core
import Wire

/// The batches that a restarted learner may need again.
///
/// A learner that dies comes back from its last checkpoint, some steps behind. The farm does not go back with it: workers
/// never step back to an older version. The learner gets the very groups again that it trained before, and as training is
/// exact, it arrives at the same weights.
/// Bounded: `stepCountMax` steps and `tokenCountMax` tokens; the newest batch is always kept. Images count by what tokens of
/// their size would.
package struct BatchArchive: Sendable {
  /// Of a rollout: its id and three numbers.
  private static let bytesPerToken = 16
  private let stepCountMax: Int
  private let tokenCountMax: Int
  private var batches: [TrainBatch] = []
  private var tokenCount = 0

  package init(stepCountMax: Int, tokenCountMax: Int = 32 << 20) {
    self.stepCountMax = stepCountMax
    self.tokenCountMax = tokenCountMax
  }

  /// Steps follow each other.
  package mutating func keep(_ batch: TrainBatch) {
    precondition(batches.last.map { $0.step + 1 == batch.step } ?? true, "step \(batch.step) is out of order")
    batches.append(batch)
    tokenCount += Self.tokens(batch)
    while batches.count > 1 && (batches.count > stepCountMax || tokenCount > tokenCountMax) {
      tokenCount -= Self.tokens(batches.removeFirst())
    }
  }

  package subscript(step: UInt32) -> TrainBatch? {
    guard let first = batches.first?.step, step >= first, step - first < UInt32(batches.count) else { return nil }
    return batches[Int(step - first)]
  }

  package var oldestStep: UInt32? { batches.first?.step }

  private static func tokens(_ batch: TrainBatch) -> Int {
    batch.groups.reduce(0) { total, group in
      total + group.promptTokens.count + group.images.reduce(0) { $0 + $1.bytes.count / bytesPerToken }
        + group.rollouts.reduce(0) { $0 + $1.tokens.count }
    }
  }
}
