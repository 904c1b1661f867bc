import Architecture
import Engine
import Prompts
import Support
import Tasks
import Wire

/// From leases to scored groups: submits each lease to the engine as one request, gathers its samples in whatever order
/// they finish, hands out each one to be scored, and puts the group together when its scores are back.
///
/// The random key names (seed, step, prompt, sample) and nothing of this worker, so the group does not depend on which
/// worker samples it, when, next to which others, or in which order the scores come. Invariant: all groups that are
/// being decoded are of the one version that the engine holds; groups that only wait for scores may be of the version
/// before.
public struct GroupSampler {
  private struct OpenGroup {
    enum Sample {
      case decoding
      case unscored(Completion, text: String)
      case scored(Rollout)
    }

    let lease: Lease
    let version: PolicyVersion
    let promptTokens: [Int32]
    let ticket = ScoringTicket()
    var samples: [Sample]
    /// The number of decoded samples at which the group takes no more.
    var wanted: Int
    var isDecoded = false

    var decodedCount: Int { samples.count { if case .decoding = $0 { false } else { true } } }
    var hasUnscored: Bool { samples.contains { if case .unscored = $0 { true } else { false } } }
    var rollouts: [Rollout] { samples.compactMap { if case .scored(let rollout) = $0 { rollout } else { nil } } }
  }

  private let engine: any RolloutEngine
  private var open: [LeaseID: OpenGroup] = [:]
  private var unscored: [UnscoredSample] = []
  private var version: PolicyVersion?

  /// A sampler without a version; `use(_:)` gives it one.
  public init(_ engine: any RolloutEngine) { self.engine = engine }

  /// Whether no group is open: none is decoded, and none waits for scores.
  public var isIdle: Bool { open.isEmpty }

  /// The engine's weights are now those of `version`. No group is being decoded: a sample never mixes two versions.
  public mutating func use(_ version: PolicyVersion) {
    let decoding = open.values.count { !$0.isDecoded }
    precondition(decoding == 0, "\(decoding) groups are being decoded while \(version) is loaded")
    self.version = version
  }

  /// Starts decoding a lease of the engine's version.
  /// - Throws: `InputError` when the engine cannot do it, for example a prompt longer than the model's positions.
  public mutating func start(_ lease: Lease) throws {
    guard let version, let text = engine.text else { preconditionFailure("\(lease.id) before any version was loaded") }
    try engine.abilities.check(lease)
    let prompt = try text.encode(lease.messages, lease.images)
    guard !prompt.tokens.isEmpty, prompt.tokens.count < text.maxPositions else {
      throw InputError(
        "sample a group", at: "prompt \(lease.prompt)", expected: "1 to \(text.maxPositions - 1) tokens",
        found: "\(prompt.tokens.count)")
    }
    try engine.submit(
      GenerationRequest(
        id: lease.id.value, promptTokens: prompt.tokens,
        key: SampleKey(seed: lease.seed, step: lease.step, prompt: lease.prompt, sample: 0),
        sampleCount: Int(lease.groupSize), sampling: lease.sampling, stopTokens: text.stopTokens,
        stopStrings: lease.stopStrings, images: prompt.images))
    open[lease.id] = OpenGroup(
      lease: lease, version: version, promptTokens: prompt.tokens,
      samples: Array(repeating: .decoding, count: Int(lease.groupSize)), wanted: Int(lease.groupSize))
  }

  /// One engine step: every active sample gets a token.
  /// - Returns: `sampleFinished` for each sample that ended, `groupDecoded` for each group that takes no more.
  public mutating func step() -> [RolloutState.Event] {
    engine.step().flatMap { completion -> [RolloutState.Event] in
      let id = LeaseID(completion.request)
      guard var group = open[id], !group.isDecoded else { return [] }
      guard case .decoding = group.samples[completion.sample] else {
        preconditionFailure("sample \(completion.sample) of \(id) finished twice")
      }
      let text = decode(completion)
      group.samples[completion.sample] = .unscored(completion, text: text)
      open[id] = group
      unscored.append(
        UnscoredSample(ticket: group.ticket, lease: group.lease, sample: completion.sample, text: text))
      return [.sampleFinished(id)] + finishDecodingIfComplete(id)
    }
  }

  /// The samples that ended since the last call: `scored` takes their scores.
  public mutating func takeUnscored() -> [UnscoredSample] {
    defer { unscored = [] }
    return unscored
  }

  /// Takes the scores of a sample.
  /// - Returns: `groupFinished` when they were the last that its group waited for.
  public mutating func scored(_ sample: ScoredSample) -> [RolloutState.Event] {
    guard var group = open[sample.lease], group.ticket === sample.ticket,
      case .unscored(let completion, let text) = group.samples[sample.sample]
    else { return [] }
    group.samples[sample.sample] = .scored(
      Rollout(
        tokens: completion.tokens, behaviourLogProbabilities: completion.logProbabilities,
        logTruncatedMasses: completion.logTruncatedMasses, entropies: completion.entropies, finish: completion.finish,
        reward: group.lease.reward.reward(of: sample.scores), scores: sample.scores, text: text))
    open[sample.lease] = group
    return finishIfScored(sample.lease)
  }

  /// Accepts a partial group of at least `sizeMin` samples, because the group takes too long; discards the others.
  /// - Returns: `groupDecoded` when enough samples are decoded already, and `groupFinished` when they are scored too.
  public mutating func finishPartially(_ id: LeaseID, sizeMin: Int) -> [RolloutState.Event] {
    guard let wanted = open[id]?.wanted else { return [] }
    open[id]?.wanted = min(wanted, max(1, sizeMin))
    return finishDecodingIfComplete(id)
  }

  /// Forgets a lease.
  public mutating func cancel(_ id: LeaseID) {
    guard let group = open.removeValue(forKey: id) else { return }
    group.ticket.cancel()
    if !group.isDecoded { engine.cancel(request: id.value) }
  }

  private mutating func finishDecodingIfComplete(_ id: LeaseID) -> [RolloutState.Event] {
    guard let group = open[id], !group.isDecoded, group.decodedCount >= group.wanted else { return [] }
    if group.decodedCount < group.samples.count { engine.cancel(request: id.value) }
    open[id]?.isDecoded = true
    return [.groupDecoded(id)] + finishIfScored(id)
  }

  private mutating func finishIfScored(_ id: LeaseID) -> [RolloutState.Event] {
    guard let group = open[id], group.isDecoded, !group.hasUnscored else { return [] }
    open[id] = nil
    return [
      .groupFinished(
        id,
        RolloutGroup(
          step: group.lease.step, prompt: group.lease.prompt, policyVersion: group.version,
          promptTokens: group.promptTokens, rollouts: group.rollouts))
    ]
  }

  /// The text of a completion, without the stop token that ended it.
  private func decode(_ completion: Completion) -> String {
    guard let text = engine.text else { preconditionFailure("a sample of no policy") }
    let endsInStop = completion.tokens.last.map { text.stopTokens.contains($0) } ?? false
    return text.decode(endsInStop ? completion.tokens.dropLast() : completion.tokens)
  }
}

extension GroupSampler {
  /// `step`, and the scores of what ended in it from the calling thread: for a process that has nothing else to decode
  /// meanwhile.
  package mutating func step(scoringWith rewards: RewardSet) -> [RolloutState.Event] {
    step() + takeUnscored().flatMap { scored(rewards.score($0)) }
  }
}
