import Prompts
import Settings
import Tasks

/// The held-out prompts of a task, how they are to be answered (greedily, up to a length), and what an answer is worth.
///
/// Prompts, sampling and scoring are those of a run's own evaluations. An
/// `EvaluatedModel` answers them: a model on this machine, or a server.
public struct EvaluationSet: Sendable {
  private let dataset: any PromptDataset
  /// Prompts asked.
  public let count: Int
  public let sampling: SamplingSettings
  public let stopStrings: [String]
  /// The run seed.
  public let seed: UInt64

  /// - Parameter prompts: at most as many are asked as there are.
  public init(_ dataset: any PromptDataset, prompts: Int, settings: RunSettings) {
    self.dataset = dataset
    count = min(prompts, dataset.heldOutCount)
    sampling = SamplingSettings(temperature: 0, maxNewTokens: settings.rollout.sampling.maxNewTokens)
    stopStrings = settings.rollout.stopStrings
    seed = settings.run.seed
  }

  /// - Parameter index: below `count`.
  public func prompt(_ index: Int) -> Prompt { dataset.heldOutPrompt(at: index) }

  /// Scores the text that answers a prompt.
  public func answer(_ index: Int, text: String, tokenCount: Int?, finish: FinishReason) -> Answer {
    let prompt = prompt(index)
    let score = Scorer.score(text: text, prompt.reward)
    return Answer(
      prompt: prompt, text: text, tokenCount: tokenCount, finish: finish, accuracy: score.accuracy,
      format: score.format)
  }
}

/// The answer to one prompt, and its scores.
public struct Answer: Sendable {
  public var prompt: Prompt
  public var text: String
  /// nil where the model does not say.
  public var tokenCount: Int?
  public var finish: FinishReason
  /// The answer's accuracy, scored by the task's settings.
  public var accuracy: Float
  public var format: Float
}

/// A model that is evaluated: it answers the prompts of an evaluation set.
public protocol EvaluatedModel {
  /// Every answer, in the order of the prompts.
  /// - Parameter progress: gets the number of prompts answered; called from one thread at a time.
  /// - Throws: `InputError` for a prompt that cannot be asked, and for a server that does not answer.
  func answers(_ evaluationSet: EvaluationSet, progress: (Int) -> Void) throws -> [Answer]
}

extension [Answer] {
  /// The measurements of an evaluation, by the names of docs/METRICS.md.
  public var metrics: [String: Double] {
    func share(_ value: (Answer) -> Double) -> Double { reduce(0) { $0 + value($1) } / Double(Swift.max(1, count)) }
    return [
      "heldout_accuracy": share { Double($0.accuracy) }, "heldout_format": share { Double($0.format) },
      "heldout_prompts": Double(count), "heldout_completion_tokens": share { Double($0.tokenCount ?? 0) },
      "heldout_truncated": share { $0.finish == .length ? 1 : 0 },
    ]
  }
}
