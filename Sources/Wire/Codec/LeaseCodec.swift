import CWire
import Prompts

extension ChatMessage {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__ChatMessage> {
    var m = Fovea__ChatMessage()
    fovea__chat_message__init(&m)
    m.role = arena.text(role)
    m.content = arena.text(content)
    return arena.place(m)
  }

  init(_ m: Fovea__ChatMessage) throws {
    self.init(
      role: try Field.name(m.role, "lease.messages.role"),
      content: try Field.text(m.content, "lease.messages.content", max: WireLimits.textByteCountMax))
  }
}

extension RewardSpecification {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__RewardSpecification> {
    var m = Fovea__RewardSpecification()
    fovea__reward_specification__init(&m)
    m.kind = arena.text(kind)
    m.reference = arena.text(reference)
    m.n_options = options.count
    m.options = arena.named(options.mapValues { Array($0.utf8) })
    m.n_weights = weights.count
    m.weights = arena.named(weights.mapValues { Double($0) })
    return arena.place(m)
  }

  init(_ m: Fovea__RewardSpecification) throws {
    let options = try Field.named(
      m.n_options, m.options, "lease.reward.options", entriesMax: WireLimits.optionsMax,
      max: WireLimits.lineByteCountMax)
    self.init(
      kind: try Field.name(m.kind, "lease.reward.kind"),
      reference: try Field.text(m.reference, "lease.reward.reference", max: WireLimits.textByteCountMax),
      weights: try Field.named(m.n_weights, m.weights, "lease.reward.weights").mapValues {
        try Field.finite(Float($0), "lease.reward.weights.value")
      },
      options: try options.mapValues { value in
        guard let text = String(validating: value, as: UTF8.self) else {
          throw Field.failure("lease.reward.options.value", expected: "UTF-8", found: "bytes that are not")
        }
        return text
      })
  }
}

extension SamplingSettings {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__SamplingSettings> {
    var m = Fovea__SamplingSettings()
    fovea__sampling_settings__init(&m)
    m.temperature = temperature
    m.top_k = UInt32(clamping: topK)
    m.top_p = topP
    m.min_p = minP
    m.max_new_tokens = UInt32(clamping: maxNewTokens)
    return arena.place(m)
  }

  init(_ m: Fovea__SamplingSettings) throws {
    self.init(
      temperature: try Field.within(m.temperature, 0...1e6, "lease.sampling.temperature"),
      topK: Int(try Field.count(m.top_k, "lease.sampling.top_k")),
      topP: try Field.within(m.top_p, 0...1, "lease.sampling.top_p"),
      minP: try Field.within(m.min_p, 0...1, "lease.sampling.min_p"),
      maxNewTokens: Int(
        try Field.within(
          m.max_new_tokens, 1...UInt32(WireLimits.tokensPerSequenceMax), "lease.sampling.max_new_tokens")))
  }
}

extension Lease {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__Lease> {
    var m = Fovea__Lease()
    fovea__lease__init(&m)
    m.id = id.value
    m.attempt = attempt
    m.step = step
    m.prompt = prompt
    m.n_messages = messages.count
    m.messages = arena.pointers(messages.map { $0.encoded(in: arena) })
    m.reward = reward.encoded(in: arena)
    m.policy_version = policyVersion.value
    m.group_size = groupSize
    m.sampling = sampling.encoded(in: arena)
    m.n_stop_strings = stopStrings.count
    m.stop_strings = arena.array(stopStrings.map { arena.text($0) })
    m.seed = seed
    m.n_images = images.count
    m.images = arena.images(images)
    m.partial_group_min = partialGroupMin
    return arena.place(m)
  }

  init(_ m: Fovea__Lease) throws {
    self.init(
      id: LeaseID(m.id),
      attempt: try Field.count(m.attempt, "lease.attempt"),
      step: try Field.count(m.step, "lease.step"),
      prompt: m.prompt,
      messages: try Field.list(
        m.n_messages, m.messages, "lease.messages", 1...WireLimits.messagesPerPromptMax, ChatMessage.init),
      images: try Field.images(m.n_images, m.images, "lease.images"),
      reward: try RewardSpecification(Field.required(m.reward, "lease.reward")),
      policyVersion: try Field.version(m.policy_version, "lease.policy_version"),
      groupSize: try Field.within(m.group_size, 1...UInt32(WireLimits.rolloutsPerGroupMax), "lease.group_size"),
      sampling: try SamplingSettings(Field.required(m.sampling, "lease.sampling")),
      stopStrings: try Field.numbers(
        m.n_stop_strings, m.stop_strings, "lease.stop_strings", 0...WireLimits.stopStringsMax
      ).map { try Field.line($0, "lease.stop_strings") },
      seed: m.seed,
      partialGroupMin: try Field.within(
        m.partial_group_min, 0...UInt32(WireLimits.rolloutsPerGroupMax), "lease.partial_group_min"))
  }
}

extension LeaseReturned {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__LeaseReturned> {
    var m = Fovea__LeaseReturned()
    fovea__lease_returned__init(&m)
    m.lease = lease.value
    m.attempt = attempt
    m.cause = Fovea__LeaseReturned__Cause(rawValue: cause.rawValue)
    m.reason = arena.text(reason)
    return arena.place(m)
  }

  init(_ m: Fovea__LeaseReturned) throws {
    self.init(
      lease: LeaseID(m.lease),
      attempt: try Field.count(m.attempt, "lease_returned.attempt"),
      cause: try Field.known(m.cause.rawValue, "lease_returned.cause"),
      reason: try Field.line(m.reason, "lease_returned.reason"))
  }
}
