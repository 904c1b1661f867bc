/// One line of metrics.jsonl: the measurements of a step, or of an evaluation. docs/METRICS.md lists the names.
///
/// Made by the coordinator, read by the run directory, the live view and the log.
public struct MetricsRow: Equatable, Sendable {
  public enum Kind: String, Sendable {
    case step
    case evaluation
  }

  public var kind: Kind
  /// Number of training steps behind the weights: the row of step 1 describes the first update.
  public var step: UInt32
  /// The version of those weights.
  public var version: PolicyVersion
  public var values: [String: Double]

  public init(kind: Kind, step: UInt32, version: PolicyVersion, values: [String: Double]) {
    self.kind = kind
    self.step = step
    self.version = version
    self.values = values
  }
}
