import CWire

extension Hello {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__Hello> {
    var m = Fovea__Hello()
    fovea__hello__init(&m)
    m.protocol_version = protocolVersion
    m.role = Fovea__Role(rawValue: role.rawValue)
    m.run_id = arena.text(runID)
    m.name = arena.text(name)
    m.incarnation = incarnation
    m.host = arena.text(host)
    m.threads = threads
    m.slots = slots
    m.policy_version = arena.version(policyVersion)
    m.weights_endpoint = arena.text(weightsEndpoint)
    m.next_step = nextStep
    m.cursor = cursor
    return arena.place(m)
  }

  init(_ m: Fovea__Hello) throws {
    self.init(
      protocolVersion: m.protocol_version,
      role: try Field.known(m.role.rawValue, "hello.role"),
      runID: try Field.name(m.run_id, "hello.run_id"),
      name: try Field.name(m.name, "hello.name"),
      incarnation: m.incarnation,
      host: try Field.name(m.host, "hello.host"),
      threads: try Field.count(m.threads, "hello.threads"),
      slots: try Field.count(m.slots, "hello.slots"),
      policyVersion: try Field.version(m.policy_version, "hello.policy_version"),
      weightsEndpoint: try Field.name(m.weights_endpoint, "hello.weights_endpoint"),
      nextStep: try Field.count(m.next_step, "hello.next_step"),
      cursor: try Field.total(m.cursor, "hello.cursor"))
  }
}

extension Welcome {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__Welcome> {
    var m = Fovea__Welcome()
    fovea__welcome__init(&m)
    m.run_id = arena.text(runID)
    m.name = arena.text(name)
    m.heartbeat_milliseconds = heartbeatMilliseconds
    m.incarnation = incarnation
    m.protocol_version = protocolVersion
    return arena.place(m)
  }

  init(_ m: Fovea__Welcome) throws {
    self.init(
      protocolVersion: m.protocol_version,
      runID: try Field.name(m.run_id, "welcome.run_id"),
      name: try Field.name(m.name, "welcome.name"),
      heartbeatMilliseconds: try Field.within(
        m.heartbeat_milliseconds, 1...WireLimits.heartbeatMillisecondsMax, "welcome.heartbeat_milliseconds"),
      incarnation: m.incarnation)
  }
}

extension Refused {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__Refused> {
    var m = Fovea__Refused()
    fovea__refused__init(&m)
    m.reason = arena.text(reason)
    return arena.place(m)
  }

  init(_ m: Fovea__Refused) throws { self.init(reason: try Field.line(m.reason, "refused.reason")) }
}

extension Heartbeat {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__Heartbeat> {
    var m = Fovea__Heartbeat()
    fovea__heartbeat__init(&m)
    m.incarnation = incarnation
    m.activity = arena.text(activity)
    m.policy_version = arena.version(policyVersion)
    m.credit = credit
    m.active_samples = activeSamples
    m.tokens_total = tokensTotal
    m.tokens_per_second = tokensPerSecond
    m.groups_done = groupsDone
    m.saved_step = savedStep
    return arena.place(m)
  }

  init(_ m: Fovea__Heartbeat) throws {
    self.init(
      incarnation: m.incarnation,
      activity: try Field.line(m.activity, "heartbeat.activity"),
      policyVersion: try Field.version(m.policy_version, "heartbeat.policy_version"),
      credit: try Field.count(m.credit, "heartbeat.credit"),
      activeSamples: try Field.count(m.active_samples, "heartbeat.active_samples"),
      tokensTotal: try Field.total(m.tokens_total, "heartbeat.tokens_total"),
      tokensPerSecond: try Field.finite(m.tokens_per_second, "heartbeat.tokens_per_second"),
      groupsDone: try Field.total(m.groups_done, "heartbeat.groups_done"),
      savedStep: try Field.count(m.saved_step, "heartbeat.saved_step"))
  }
}

extension Goodbye {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__Goodbye> {
    var m = Fovea__Goodbye()
    fovea__goodbye__init(&m)
    m.reason = arena.text(reason)
    return arena.place(m)
  }

  init(_ m: Fovea__Goodbye) throws { self.init(reason: try Field.line(m.reason, "goodbye.reason")) }
}
