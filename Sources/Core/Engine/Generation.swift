import Architecture
import Prompts
import Support

/// Requests to the generation engine, and the completions that come back.

/// A prompt and the group of samples wanted for it. The prompt is prefilled once for all of them.
public struct GenerationRequest: Sendable {
  /// Chosen by the caller; comes back with every completion.
  public var id: UInt64
  public var promptTokens: [Int32]
  /// The prompt's images, in the order of their tokens.
  public var images: [ImageTensor]
  /// The random key of sample 0; sample i uses `sample: i`.
  public var key: SampleKey
  /// G, the number of samples.
  public var sampleCount: Int
  public var sampling: SamplingSettings
  /// Tokens that end a sample. The stop token is part of the sample (it is trained).
  public var stopTokens: Set<Int32>
  /// Strings that end a sample as soon as its text contains one.
  public var stopStrings: [String]

  public init(
    id: UInt64, promptTokens: [Int32], key: SampleKey, sampleCount: Int, sampling: SamplingSettings,
    stopTokens: Set<Int32>, stopStrings: [String] = [], images: [ImageTensor] = []
  ) {
    self.id = id
    self.promptTokens = promptTokens
    self.images = images
    self.key = key
    self.sampleCount = sampleCount
    self.sampling = sampling
    self.stopTokens = stopTokens
    self.stopStrings = stopStrings
  }
}

/// One sample of a group.
public struct Completion: Equatable, Sendable {
  /// The request's id.
  public var request: UInt64
  /// 0 ..< G
  public var sample: Int
  /// The sampled tokens, the stop token included.
  public var tokens: [Int32]
  /// log pi_b of each token under the full softmax at the sampling temperature, in nats. `[T]`
  public var logProbabilities: [Float]
  /// log of the truncated mass, the share that top-k, top-p and min-p keep (0 when they are off), so that the truncated
  /// distribution's log-probability is `logProbabilities - logTruncatedMasses`. `[T]`
  public var logTruncatedMasses: [Float]
  /// Entropy of the full softmax at the sampling temperature, in nats. `[T]`
  public var entropies: [Float]
  public var finish: FinishReason

  public init(
    request: UInt64, sample: Int, tokens: [Int32], logProbabilities: [Float], logTruncatedMasses: [Float],
    entropies: [Float], finish: FinishReason
  ) {
    self.request = request
    self.sample = sample
    self.tokens = tokens
    self.logProbabilities = logProbabilities
    self.logTruncatedMasses = logTruncatedMasses
    self.entropies = entropies
    self.finish = finish
  }
}
