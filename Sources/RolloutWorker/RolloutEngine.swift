import Architecture
import Engine
import Imaging
import ModelFiles
import Processors
import Prompts
import Support
import Tensor
import Tokenizers
import Wire

/// What samples completions for a rollout worker: the seam where another engine comes in, on other hardware or in
/// another process. `NativeRolloutEngine` is this program's own.
///
/// One thread makes and uses it. It begins without a policy; `load` gives it one. Its samples are a function of the
/// weights, the prompt, the sampling settings and the request's random key, never of what is sampled next to them.
public protocol RolloutEngine: AnyObject {
  /// The engine's abilities, which never change.
  var abilities: RolloutEngineAbilities { get }

  /// How the loaded policy reads prompts and writes text; nil before the first `load` of a policy.
  var text: PolicyText? { get }

  /// Takes a policy version, or the base model that versions are adapters on. The engine is idle.
  /// - Returns: the payload as the engine holds it, which may be read until the next call.
  /// - Throws: `InputError` when it is no model, or another one than before.
  func load(_ weights: FetchedWeights) throws -> any HeldWeights

  /// Takes a prompt and the group of samples wanted for it. A policy is loaded.
  /// - Throws: `InputError` when the model cannot do it.
  func submit(_ request: GenerationRequest) throws

  /// Forgets a request and its samples.
  func cancel(request: UInt64)

  /// Samples the next token of every active sample.
  /// - Returns: the samples that ended.
  func step() -> [Completion]

  /// Whether nothing is active or waiting.
  var isIdle: Bool { get }

  /// Tokens since the engine's start.
  var tokensSampled: UInt64 { get }
}

/// What a rollout engine can do. A worker refuses weights and leases that its engine cannot serve, with the reason.
public struct RolloutEngineAbilities: Equatable, Sendable {
  /// Whether its log-probabilities are the learner's, bit for bit, where the weights ask for that.
  public var isExact: Bool
  /// Whether prompts may hold images.
  public var hasImages: Bool
  /// Whether a version may be an adapter on a base model.
  public var hasAdapters: Bool

  public init(isExact: Bool, hasImages: Bool, hasAdapters: Bool) {
    self.isExact = isExact
    self.hasImages = hasImages
    self.hasAdapters = hasAdapters
  }

  /// - Throws: `InputError` when the engine cannot hold these weights.
  func check(_ weights: WeightsManifest) throws {
    let place = "weights of \(weights.version)"
    if !isExact, weights.rolloutPrecision == .exact {
      throw InputError(
        "load weights", at: place, expected: "an exact engine, or rollout.precision other than exact",
        found: "an engine that is not exact")
    }
    if !hasAdapters, weights.part == .baseModel || weights.adapter != nil {
      throw InputError(
        "load weights", at: place, expected: "an engine that adds adapters to a base model", found: "one that does not")
    }
  }

  /// - Throws: `InputError` when the engine cannot sample this lease.
  func check(_ lease: Lease) throws {
    if !hasImages, !lease.images.isEmpty {
      throw InputError(
        "sample a group", at: "prompt \(lease.prompt)", expected: "no images: the engine reads text alone",
        found: "\(lease.images.count)")
    }
  }
}

/// How a policy reads prompts and writes text: its tokenizer, chat template and limits.
public struct PolicyText: Sendable {
  /// Tokens and pixels of a chat with these images; throws what no worker could do.
  public var encode: @Sendable (_ messages: [ChatMessage], _ images: [PromptImage]) throws -> EncodedPrompt
  /// Decodes tokens to text without special tokens.
  public var decode: @Sendable ([Int32]) -> String
  public var stopTokens: Set<Int32>
  /// The longest prompt and completion together, tokens.
  public var maxPositions: Int

  public init(
    encode: @escaping @Sendable (_ messages: [ChatMessage], _ images: [PromptImage]) throws -> EncodedPrompt,
    decode: @escaping @Sendable ([Int32]) -> String, stopTokens: Set<Int32>, maxPositions: Int
  ) {
    self.encode = encode
    self.decode = decode
    self.stopTokens = stopTokens
    self.maxPositions = maxPositions
  }

  /// The text side of a policy, from the description of its model folder.
  /// - Parameter place: names the policy in errors.
  package init(_ description: ModelDescription, place: String) throws {
    let tokenizer = description.tokenizer
    let processor = try PromptProcessor(description, place: place)
    self.init(
      encode: { try processor.encode($0, images: $1, place: "prompt") },
      decode: { tokenizer.decode($0, skipSpecial: true) },
      stopTokens: description.stopTokens, maxPositions: description.config.maxPositions)
  }
}
