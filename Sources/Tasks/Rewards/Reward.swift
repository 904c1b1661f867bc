import Prompts

/// Scores completions: the answer of a model to one prompt, as text, becomes one or several named scores.
///
/// A reward that cannot score a completion says so with a cause (`NamedScore.init(_:failed:)`); it never stands in a
/// zero for it. Equal completions of equal prompts get equal scores, else a run is not repeatable.
///
/// A rollout worker calls it on scoring threads, several calls at once, so it may take its time: no token waits for it.
public protocol Reward: Sendable {
  /// The reward's name in `RewardSpecification.weights`. A reward with one score gives the score this name.
  var name: String { get }

  /// The scores of one completion, special tokens left out; their names are unique.
  func score(_ completion: String, of prompt: RewardSpecification) -> [NamedScore]
}
