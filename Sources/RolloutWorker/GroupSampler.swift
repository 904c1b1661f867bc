import Core
import Wire

/// What the worker asks of a generation engine.
public protocol SampleGenerator: AnyObject {
  /// Takes a prompt and the group of samples wanted for it.
  /// - Throws: `InputError` when the model cannot do it.
  func submit(_ request: GenerationRequest) throws
  /// Forgets a request and its samples.
  func cancel(request: UInt64)
  /// Draws one token for every active sample; returns the samples that finished.
  func step() -> [Completion]
  /// Whether nothing is active or waiting.
  var isIdle: Bool { get }
  /// Since the engine's start.
  var tokensSampled: UInt64 { get }
}

/// How a policy reads prompts and writes text: its tokenizer, chat template and limits.
public struct PolicyText: Sendable {
  /// Tokens and pixels of a chat with these images; throws what no worker could do.
  public var encode: @Sendable (_ messages: [ChatMessage], _ images: [PromptImage]) throws -> EncodedPrompt
  /// Without special tokens.
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
}

/// The score of one completion.
public struct RolloutScore: Equatable, Sendable {
  public var reward: Float
  /// 0...1
  public var accuracy: Float
  /// 0 or 1
  public var format: Float
  public init(reward: Float, accuracy: Float, format: Float) {
    self.reward = reward
    self.accuracy = accuracy
    self.format = format
  }
}

/// From leases to scored groups: submits each lease as one request, gathers its samples in whatever order they finish, and
/// scores the complete group.
///
/// The random key names (seed, step, prompt, sample) and nothing of this worker, so the group does not depend on who draws
/// it, when, or beside which others. Invariant: all open groups are of the one version that the generator holds.
public struct GroupSampler<Generator: SampleGenerator> {
  private struct OpenGroup {
    let lease: Lease
    let promptTokens: [Int32]
    var completions: [Completion?]
    /// So many finished samples make it complete.
    var wanted: Int
  }

  private let generator: Generator
  private let text: PolicyText
  private let score: @Sendable (String, RewardSpecification) -> RolloutScore
  private var open: [UInt64: OpenGroup] = [:]
  private var version: PolicyVersion?

  /// A sampler without a version; `use(_:)` gives it one.
  public init(
    generator: Generator, text: PolicyText, score: @escaping @Sendable (String, RewardSpecification) -> RolloutScore
  ) {
    self.generator = generator
    self.text = text
    self.score = score
  }

  /// Whether no group is open.
  public var isIdle: Bool { open.isEmpty }

  /// The generator's weights are now those of `version`. No group may be open: a sample never mixes two versions.
  public mutating func use(_ version: PolicyVersion) {
    precondition(open.isEmpty, "\(open.count) groups open while \(version) is loaded")
    self.version = version
  }

  /// Starts decoding a lease.
  /// - Throws: `InputError` when no worker could do it, for example a prompt longer than the model's positions.
  public mutating func start(_ lease: Lease) throws {
    let prompt = try text.encode(lease.messages, lease.images)
    guard !prompt.tokens.isEmpty, prompt.tokens.count < text.maxPositions else {
      throw InputError(
        "sample a group", at: "prompt \(lease.prompt)", expected: "1 to \(text.maxPositions - 1) tokens",
        found: "\(prompt.tokens.count)")
    }
    try generator.submit(
      GenerationRequest(
        id: lease.id.value, promptTokens: prompt.tokens,
        key: SampleKey(seed: lease.seed, step: lease.step, prompt: lease.prompt, sample: 0),
        sampleCount: Int(lease.groupSize), sampling: lease.sampling, stopTokens: text.stopTokens,
        stopStrings: lease.stopStrings, images: prompt.images))
    open[lease.id.value] = OpenGroup(
      lease: lease, promptTokens: prompt.tokens, completions: Array(repeating: nil, count: Int(lease.groupSize)),
      wanted: Int(lease.groupSize))
  }

  /// A group takes too long: it is complete with `survivorsMin` samples; the others are forgotten.
  /// - Returns: `groupFinished`, when so many are finished already.
  public mutating func shrink(_ id: LeaseID, survivorsMin: Int) -> RolloutState.Event? {
    guard var group = open[id.value] else { return nil }
    group.wanted = min(group.wanted, max(1, survivorsMin))
    open[id.value] = group
    return finishIfComplete(id.value)
  }

  private mutating func finishIfComplete(_ request: UInt64) -> RolloutState.Event? {
    guard let group = open[request] else { return nil }
    let done = group.completions.compactMap { $0 }
    guard done.count >= group.wanted else { return nil }
    if done.count < group.completions.count { generator.cancel(request: request) }
    open[request] = nil
    return .groupFinished(group.lease.id, scored(group, done))
  }

  /// Forgets a lease.
  public mutating func cancel(_ id: LeaseID) {
    guard open.removeValue(forKey: id.value) != nil else { return }
    generator.cancel(request: id.value)
  }

  /// One engine step: every active sample gets a token.
  /// - Returns: `sampleFinished` for each sample that ended, `groupFinished` for each group that is complete.
  public mutating func step() -> [RolloutState.Event] {
    generator.step().flatMap { completion -> [RolloutState.Event] in
      guard var group = open[completion.request] else { return [] }
      precondition(group.completions[completion.sample] == nil, "sample \(completion.sample) finished twice")
      group.completions[completion.sample] = completion
      open[completion.request] = group
      return [.sampleFinished(group.lease.id)] + (finishIfComplete(completion.request).map { [$0] } ?? [])
    }
  }

  private func scored(_ group: OpenGroup, _ completions: [Completion]) -> RolloutGroup {
    guard let version else { preconditionFailure("a group finished before any version was loaded") }
    return RolloutGroup(
      step: group.lease.step, prompt: group.lease.prompt, policyVersion: version, promptTokens: group.promptTokens,
      rollouts: completions.map { completion in
        let endsInStop = completion.tokens.last.map { text.stopTokens.contains($0) } ?? false
        let answer = text.decode(endsInStop ? completion.tokens.dropLast() : completion.tokens)
        let score = score(answer, group.lease.reward)
        return Rollout(
          tokens: completion.tokens, behaviourLogProbabilities: completion.logProbabilities,
          logTruncatedMasses: completion.logTruncatedMasses, entropies: completion.entropies, finish: completion.finish,
          reward: score.reward, accuracy: score.accuracy, format: score.format, text: answer)
      })
  }
}
