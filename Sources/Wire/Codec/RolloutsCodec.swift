import CWire
import Prompts

extension NamedScore {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__NamedScore> {
    var m = Fovea__NamedScore()
    fovea__named_score__init(&m)
    m.name = arena.text(name)
    m.value = value ?? 0
    m.cause = arena.text(cause)
    return arena.place(m)
  }

  init(_ m: Fovea__NamedScore) throws {
    let name = try Field.name(m.name, "rollout.scores.name")
    let cause = try Field.line(m.cause, "rollout.scores.cause")
    if cause.isEmpty {
      self.init(name, try Field.finite(m.value, "rollout.scores.value"))
    } else {
      self.init(name, failed: cause)
    }
  }
}

extension Rollout {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__Rollout> {
    var m = Fovea__Rollout()
    fovea__rollout__init(&m)
    m.n_tokens = tokens.count
    m.tokens = arena.array(tokens)
    m.n_behaviour_log_probabilities = behaviourLogProbabilities.count
    m.behaviour_log_probabilities = arena.array(behaviourLogProbabilities)
    m.n_log_truncated_masses = logTruncatedMasses.count
    m.log_truncated_masses = arena.array(logTruncatedMasses)
    m.n_entropies = entropies.count
    m.entropies = arena.array(entropies)
    m.finish = Fovea__FinishReason(rawValue: finish.rawValue)
    m.reward = reward
    m.text = arena.text(text)
    m.n_scores = scores.count
    m.scores = arena.pointers(scores.map { $0.encoded(in: arena) })
    return arena.place(m)
  }

  init(_ m: Fovea__Rollout) throws {
    let tokens = try Field.tokens(m.n_tokens, m.tokens, "rollout.tokens")
    self.init(
      tokens: tokens,
      behaviourLogProbabilities: try Field.finite(
        m.n_behaviour_log_probabilities, m.behaviour_log_probabilities, "rollout.behaviour_log_probabilities",
        count: tokens.count),
      logTruncatedMasses: try Field.finite(
        m.n_log_truncated_masses, m.log_truncated_masses, "rollout.log_truncated_masses", count: tokens.count),
      entropies: try Field.finite(m.n_entropies, m.entropies, "rollout.entropies", count: tokens.count),
      finish: try Field.known(m.finish.rawValue, "rollout.finish"),
      reward: try Field.finite(m.reward, "rollout.reward"),
      scores: try Self.scores(m),
      text: try Field.text(m.text, "rollout.text", max: WireLimits.textByteCountMax))
  }

  private static func scores(_ m: Fovea__Rollout) throws -> [NamedScore] {
    let scores = try Field.list(
      m.n_scores, m.scores, "rollout.scores", 0...WireLimits.scoresMax, NamedScore.init)
    guard zip(scores, scores.dropFirst()).allSatisfy({ $0.name < $1.name }) else {
      throw Field.failure(
        "rollout.scores", expected: "unique names in ascending order", found: "\(scores.map(\.name))")
    }
    return scores
  }
}

extension RolloutGroup {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__RolloutGroup> {
    var m = Fovea__RolloutGroup()
    fovea__rollout_group__init(&m)
    m.step = step
    m.prompt = prompt
    m.policy_version = policyVersion.value
    m.n_prompt_tokens = promptTokens.count
    m.prompt_tokens = arena.array(promptTokens)
    m.n_rollouts = rollouts.count
    m.rollouts = arena.pointers(rollouts.map { $0.encoded(in: arena) })
    m.n_images = images.count
    m.images = arena.images(images)
    return arena.place(m)
  }

  init(_ m: Fovea__RolloutGroup) throws {
    self.init(
      step: try Field.count(m.step, "group.step"),
      prompt: m.prompt,
      policyVersion: try Field.version(m.policy_version, "group.policy_version"),
      promptTokens: try Field.tokens(m.n_prompt_tokens, m.prompt_tokens, "group.prompt_tokens"),
      images: try Field.images(m.n_images, m.images, "group.images"),
      rollouts: try Field.list(
        m.n_rollouts, m.rollouts, "group.rollouts", 1...WireLimits.rolloutsPerGroupMax, Rollout.init))
  }
}

extension GroupResult {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__GroupResult> {
    var m = Fovea__GroupResult()
    fovea__group_result__init(&m)
    m.lease = lease.value
    m.group = group.encoded(in: arena)
    return arena.place(m)
  }

  init(_ m: Fovea__GroupResult) throws {
    self.init(
      lease: LeaseID(m.lease), group: try RolloutGroup(Field.required(m.group, "group_result.group")))
  }
}
