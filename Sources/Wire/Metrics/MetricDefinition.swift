/// One metric: its name, unit and meaning, and who makes it.
///
/// `MetricDefinition.all` is the only list of metrics; docs/METRICS.md is written from it, and every name in a run's
/// metrics.jsonl stands in it.
public struct MetricDefinition: Equatable, Sendable {
  /// The unit of a metric.
  public enum Unit: String, Sendable {
    case count
    case nats
    case seconds
    /// Between 0 and 1.
    case share
    case tokens
    case tokensPerSecond = "tokens/s"
    /// No unit: a loss, a ratio, a reward.
    case number
    /// Policy versions.
    case versions
  }

  /// Who makes a metric, and so the section of docs/METRICS.md where it stands.
  public enum Maker: String, CaseIterable, Sendable {
    case coordinator
    case learner
    /// The evaluation of a held-out split, by a coordinator or a supervised stage.
    case evaluation
    /// `fovea align` and `fovea sft`, besides the learner's metrics that they share.
    case stage
  }

  /// In snake_case, as metrics.jsonl, `fovea status --json` and the live view have it.
  public var name: String
  public var unit: Unit
  public var maker: Maker
  /// One line for people.
  public var meaning: String

  public init(_ name: String, _ unit: Unit, _ maker: Maker, _ meaning: String) {
    self.name = name
    self.unit = unit
    self.maker = maker
    self.meaning = meaning
  }

  /// The metric of a name, or nil when there is none.
  public static func named(_ name: String) -> MetricDefinition? { byName[name] }

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  /// The Markdown table of one maker's metrics, as it stands in docs/METRICS.md.
  public static func documentation(of maker: Maker) -> String {
    let rows = all.filter { $0.maker == maker }.map { "| `\($0.name)` | \($0.unit.rawValue) | \($0.meaning) |\n" }
    return "| name | unit | meaning |\n|---|---|---|\n" + rows.joined()
  }
}
