import Architecture
import Prompts
import Support
import Training
import Wire

/// How a batch is cut: into the parts of several updates, and each part into micro-batches that fit the learner's
/// memory.
///
/// Both cuts keep the batch's order (by prompt) and never split a group, so that the order of every sum, and with it
/// every bit of the result, depends on the batch and the settings alone.
package enum MicroBatches {
  /// Cuts a batch of groups.
  /// - Parameters:
  ///   - tokenCounts: of each group, prompt and completions.
  ///   - updateCount: optimizer updates; a part has at least one group.
  ///   - tokensMax: tokens of a micro-batch; a longer group is one by itself.
  /// - Returns: for each update its micro-batches, as ranges of the batch's groups.
  package static func cut(_ tokenCounts: [Int], updateCount: Int = 1, tokensMax: Int) -> [[Range<Int>]] {
    let count = tokenCounts.count
    let partCount = max(1, min(updateCount, count))
    return (0..<partCount).map { part in
      microBatches(tokenCounts, in: count * part / partCount..<count * (part + 1) / partCount, tokensMax: tokensMax)
    }
  }

  private static func microBatches(_ tokenCounts: [Int], in part: Range<Int>, tokensMax: Int) -> [Range<Int>] {
    var batches: [Range<Int>] = []
    var start = part.lowerBound
    var tokens = 0
    for index in part {
      let count = tokenCounts[index]
      if index > start, tokens + count > tokensMax {
        batches.append(start..<index)
        (start, tokens) = (index, 0)
      }
      tokens += count
    }
    if start < part.upperBound { batches.append(start..<part.upperBound) }
    return batches
  }
}

extension RolloutGroup {
  var completionTokenCount: Int { rollouts.reduce(0) { $0 + $1.tokens.count } }
  /// The prompt counts once: it is computed once for the whole group.
  var tokenCount: Int { promptTokens.count + completionTokenCount }
}

extension TrainingGroup {
  var completionTokenCount: Int { completions.reduce(0) { $0 + $1.count } }
  var tokenCount: Int { promptTokens.count + completionTokenCount }
}

/// Decodes a prompt's images into the pixels that the model reads; `place` names the prompt in errors.
public typealias PixelReader = (_ images: [PromptImage], _ place: String) throws -> [ImageTensor]

extension TrainBatch {
  /// The groups as the model takes them, the pixels of their images included.
  ///
  /// Checks all that the training step relies on; the batch comes from outside.
  /// - Parameter version: the learner's own; no group may come from a later one.
  /// - Throws: `InputError` that names group and sample.
  package func trainingGroups(config: ModelConfig, version: PolicyVersion, pixels: PixelReader) throws
    -> [TrainingGroup]
  {
    try check(config: config, version: version)
    return try groups.map { group in
      let place = "step \(step + 1), prompt \(group.prompt)"
      let images = try pixels(group.images, place)
      try config.checkImages(images, prompt: group.promptTokens, at: place)
      return TrainingGroup(
        promptTokens: group.promptTokens, completions: group.rollouts.map(\.tokens), images: images)
    }
  }

  private func check(config: ModelConfig, version: PolicyVersion) throws {
    func failure(_ place: String, _ expected: String, _ found: String) -> InputError {
      InputError("train on a batch", at: "step \(step + 1), \(place)", expected: expected, found: found)
    }
    func checkTokens(_ tokens: [Int32], _ place: String) throws {
      guard !tokens.isEmpty else { throw failure(place, "at least one token", "none") }
      if let token = tokens.first(where: { $0 < 0 || Int($0) >= config.vocabularySize }) {
        throw failure(place, "tokens below \(config.vocabularySize)", "\(token)")
      }
    }
    guard !groups.isEmpty else { throw failure("groups", "at least one", "none") }
    for group in groups {
      let place = "prompt \(group.prompt)"
      guard group.policyVersion <= version else {
        throw failure(place, "samples of \(version) or earlier", "\(group.policyVersion)")
      }
      guard !group.rollouts.isEmpty else { throw failure(place, "at least one sample", "none") }
      try checkTokens(group.promptTokens, place)
      for (index, rollout) in group.rollouts.enumerated() {
        let place = "\(place), sample \(index)"
        let count = rollout.tokens.count
        try checkTokens(rollout.tokens, place)
        guard group.promptTokens.count + count <= config.maxPositions else {
          throw failure(place, "at most \(config.maxPositions) tokens", "\(group.promptTokens.count + count)")
        }
        guard rollout.behaviourLogProbabilities.count == count, rollout.logTruncatedMasses.count == count else {
          throw failure(
            place, "\(count) log-probabilities and truncated masses",
            "\(rollout.behaviourLogProbabilities.count) and \(rollout.logTruncatedMasses.count)")
        }
        guard rollout.reward.isFinite, rollout.behaviourLogProbabilities.allSatisfy(\.isFinite),
          rollout.logTruncatedMasses.allSatisfy(\.isFinite)
        else { throw failure(place, "finite rewards and log-probabilities", "others") }
      }
    }
  }
}
