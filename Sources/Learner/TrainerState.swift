import Support
import Wire

/// What training needs, next to weights and moments, to resume as if it had never stopped: `trainer_state.json`.
///
/// Invariant: written and read, every field is equal to the bit (a Float is written as the shortest decimal of its
/// Double).
public struct TrainerState: Equatable, Sendable {
  /// Optimizer steps behind the weights, and so the index of the next one.
  public var nextStep: UInt32
  public var policyVersion: PolicyVersion
  /// tau, nats; nil before the first batch.
  public var threshold: Float?
  /// The data cursor after the steps done.
  public var cursor: UInt64
  /// AdamW's count, which its bias correction needs.
  public var updateCount: UInt64
  public var samplesTrained: UInt64
  /// The completion tokens trained on so far.
  public var tokensTrained: UInt64
  /// The digest of the settings that made the checkpoint.
  public var settingsDigest: String
  /// Answers a batch that the coordinator repeats because the learner died before its answer arrived.
  public var lastCompleted: StepCompleted?

  public init(
    nextStep: UInt32 = 0, policyVersion: PolicyVersion = PolicyVersion(0), threshold: Float? = nil, cursor: UInt64 = 0,
    updateCount: UInt64 = 0, samplesTrained: UInt64 = 0, tokensTrained: UInt64 = 0, settingsDigest: String = "",
    lastCompleted: StepCompleted? = nil
  ) {
    self.nextStep = nextStep
    self.policyVersion = policyVersion
    self.threshold = threshold
    self.cursor = cursor
    self.updateCount = updateCount
    self.samplesTrained = samplesTrained
    self.tokensTrained = tokensTrained
    self.settingsDigest = settingsDigest
    self.lastCompleted = lastCompleted
  }

  /// The version of the file's layout.
  private static let format = 1

  /// The document. Counters must be below 2^63, as everything from the wire is.
  package var json: JSON {
    var members: [String: JSON] = [
      "format": .integer(Int64(Self.format)),
      "next_step": .integer(Int64(nextStep)),
      "policy_version": .integer(Int64(policyVersion.value)),
      "tau": threshold.map { .number(Double($0)) } ?? .null,
      "cursor": .integer(Int64(cursor)),
      "update_count": .integer(Int64(updateCount)),
      "samples_trained": .integer(Int64(samplesTrained)),
      "tokens_trained": .integer(Int64(tokensTrained)),
      "settings_digest": .string(settingsDigest),
    ]
    if let last = lastCompleted {
      members["last_step"] = .object([
        "step": .integer(Int64(last.step)),
        "version": .integer(Int64(last.version.value)),
        "metrics": .object(last.metrics.mapValues { .number($0) }),
      ])
    }
    return .object(members)
  }

  /// - Throws: `InputError` that names the key.
  package init(json: JSON, place: String) throws {
    let format = try json.required("format", Int.self, at: place)
    guard format == Self.format else {
      throw InputError(
        "read the trainer's state", at: "\(place), key format", expected: "\(Self.format)", found: "\(format)")
    }
    func unsigned<Value: FixedWidthInteger>(_ key: String, of json: JSON, _ type: Value.Type) throws -> Value {
      let value = try json.required(key, Int.self, at: place)
      guard let exact = Value(exactly: value) else {
        throw InputError(
          "read the trainer's state", at: "\(place), key \(key)", expected: "0...\(Value.max)", found: "\(value)")
      }
      return exact
    }
    nextStep = try unsigned("next_step", of: json, UInt32.self)
    policyVersion = PolicyVersion(try unsigned("policy_version", of: json, UInt64.self))
    threshold = try json.optional("tau", Double.self, at: place).map { Float($0) }
    cursor = try unsigned("cursor", of: json, UInt64.self)
    updateCount = try unsigned("update_count", of: json, UInt64.self)
    samplesTrained = try unsigned("samples_trained", of: json, UInt64.self)
    tokensTrained = try unsigned("tokens_trained", of: json, UInt64.self)
    settingsDigest = try json.required("settings_digest", String.self, at: place)
    if let last = json["last_step"] {
      lastCompleted = StepCompleted(
        step: try unsigned("step", of: last, UInt32.self),
        version: PolicyVersion(try unsigned("version", of: last, UInt64.self)),
        metrics: try last.required("metrics", [String: JSON].self, at: place).compactMapValues(\.double))
    }
  }
}
