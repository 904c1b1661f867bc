import Prompts

/// The rewards that a process can score with, by name.
public struct RewardSet: Sendable {
  /// The rewards of this program. A new one is a file in this folder and a line here.
  public static let builtIn = RewardSet([
    AccuracyReward(),
    FormatReward(),
  ])

  private let rewards: [String: any Reward]

  /// - Parameter rewards: their names are unique.
  public init(_ rewards: [any Reward]) {
    self.rewards = Dictionary(uniqueKeysWithValues: rewards.map { ($0.name, $0) })
  }

  /// The scores of one completion by the rewards that the prompt's weights name, in ascending order of their names, so
  /// that equal completions have equal scores and equal rewards wherever they are scored.
  ///
  /// Names are unique: of two scores of one name, the first reward's counts. A name that is neither a reward's nor a
  /// score's is a score that failed.
  public func scores(of completion: String, for prompt: RewardSpecification) -> [NamedScore] {
    var scores: [String: NamedScore] = [:]
    var missing: [String] = []
    for name in prompt.weights.keys.sorted() {
      guard let reward = rewards[name] else {
        missing.append(name)
        continue
      }
      for score in reward.score(completion, of: prompt) where scores[score.name] == nil { scores[score.name] = score }
    }
    for name in missing where scores[name] == nil {
      scores[name] = NamedScore(name, failed: "there is no reward of this name")
    }
    return scores.values.sorted { $0.name < $1.name }
  }
}
