import CWire

extension PolicyAnnounced {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__PolicyAnnounced> {
    var m = Fovea__PolicyAnnounced()
    fovea__policy_announced__init(&m)
    m.version = version.value
    m.weights_endpoint = arena.text(weightsEndpoint)
    return arena.place(m)
  }

  init(_ m: Fovea__PolicyAnnounced) throws {
    self.init(
      version: try Field.version(m.version, "policy_announced.version"),
      weightsEndpoint: try Field.name(m.weights_endpoint, "policy_announced.weights_endpoint"))
  }
}

extension TrainBatch {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__TrainBatch> {
    var m = Fovea__TrainBatch()
    fovea__train_batch__init(&m)
    m.step = step
    m.cursor = cursor
    m.n_groups = groups.count
    m.groups = arena.pointers(groups.map { $0.encoded(in: arena) })
    return arena.place(m)
  }

  init(_ m: Fovea__TrainBatch) throws {
    self.init(
      step: try Field.count(m.step, "train_batch.step"),
      cursor: try Field.total(m.cursor, "train_batch.cursor"),
      groups: try Field.list(
        m.n_groups, m.groups, "train_batch.groups", 0...WireLimits.groupsPerBatchMax, RolloutGroup.init))
  }
}

extension StepCompleted {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__StepCompleted> {
    var m = Fovea__StepCompleted()
    fovea__step_completed__init(&m)
    m.step = step
    m.version = version.value
    m.n_metrics = metrics.count
    m.metrics = arena.named(metrics)
    return arena.place(m)
  }

  init(_ m: Fovea__StepCompleted) throws {
    self.init(
      step: try Field.count(m.step, "step_completed.step"),
      version: try Field.version(m.version, "step_completed.version"),
      metrics: try Field.named(m.n_metrics, m.metrics, "step_completed.metrics"))
  }
}

extension Evaluated {
  func encoded(in arena: EncodingArena) -> UnsafeMutablePointer<Fovea__Evaluated> {
    var m = Fovea__Evaluated()
    fovea__evaluated__init(&m)
    m.version = version.value
    m.step = step
    m.accuracy = accuracy
    return arena.place(m)
  }

  init(_ m: Fovea__Evaluated) throws {
    self.init(
      version: try Field.version(m.version, "evaluated.version"),
      step: try Field.count(m.step, "evaluated.step"),
      accuracy: try Field.within(m.accuracy, 0...1, "evaluated.accuracy"))
  }
}
