import Wire

/// What the run has measured: the newest value of each metric, totals, and the part of a step's row that waits for the
/// learner's.
///
/// Invariant: `handedOver` is there exactly while a batch is handed over for the first time and not trained yet.
package struct RunMeasurements: Equatable, Sendable {
  /// The newest value of each metric, for the status. `heldout_accuracy_start` is that of the run's first evaluation.
  private(set) package var newest: [String: Double] = [:]
  /// Samples trained on since the run began, by all of its processes.
  private(set) package var samplesTotal = 0.0
  /// What the coordinator measured of the step whose batch the learner has.
  private(set) package var handedOver: [String: Double]?
  /// The last evaluation, which is repeated to a learner that comes back.
  private(set) package var lastEvaluated: Evaluated?

  package init() {}

  /// The run begins with a learner that has trained on `samplesTotal` samples before.
  package mutating func begin(samplesTotal: Double) { self.samplesTotal = samplesTotal }

  /// Takes what an earlier process of the run measured.
  package mutating func recover(rows: [MetricsRow], handedOver: [String: Double]?, lastEvaluated: Evaluated?) {
    for row in rows { note(row) }
    samplesTotal = rows.last { $0.kind == .step }?.values["samples_total"] ?? 0
    self.handedOver = handedOver
    self.lastEvaluated = lastEvaluated
  }

  /// A step's batch goes to the learner.
  package mutating func handOver(_ measured: [String: Double]) { handedOver = measured }

  /// The batch is trained.
  /// - Parameter learner: what the learner measured; bounded here; where both name a value, the coordinator's wins.
  /// - Returns: the values of the step's row as far as both have measured them.
  package mutating func completeStep(learner: [String: Double]) -> [String: Double] {
    var values: [String: Double] = [:]
    for (name, value) in learner.sorted(by: { $0.key < $1.key }).prefix(256) { values[printable(name)] = value }
    values.merge(handedOver ?? [:]) { _, own in own }
    handedOver = nil
    samplesTotal += values["samples"] ?? 0
    values["samples_total"] = samplesTotal
    return values
  }

  package mutating func note(_ evaluated: Evaluated) { lastEvaluated = evaluated }

  package mutating func note(_ row: MetricsRow) {
    newest.merge(row.values) { _, new in new }
    if let accuracy = row.values["heldout_accuracy"], newest["heldout_accuracy_start"] == nil {
      newest["heldout_accuracy_start"] = accuracy
    }
  }
}
