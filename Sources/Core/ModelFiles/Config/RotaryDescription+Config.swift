import Architecture
import Support

/// The rotary embedding in config.json: `rope_theta` next to `rope_scaling`, or both in `rope_parameters`, as newer
/// files have it.
extension RotaryDescription {
  /// Reads everything but the sections, which only Qwen2.5-VL has.
  ///
  /// - Throws: `InputError` for a kind that is not supported.
  init(_ keys: ConfigKeys) throws {
    let fraction = try keys.optional("partial_rotary_factor", Double.self) ?? 1
    let key = keys.json["rope_parameters"].map { $0 != .null } == true ? "rope_parameters" : "rope_scaling"
    let theta = try keys.optional("rope_theta", Double.self) ?? 10_000
    guard let parameters = try keys.optional(key, [String: JSON].self) else {
      self.init(theta: theta, fraction: fraction)
      return
    }
    let inner = ConfigKeys(.object(parameters), place: "\(keys.place), key \(key)")
    let type = try inner.optional("rope_type", String.self) ?? inner.required("type", String.self)
    let scaling: Scaling?
    switch type {
    case "default", "mrope": scaling = nil  // mrope: sections next to it, which `sections` reads
    case "llama3":
      scaling = try Scaling(
        factor: inner.required("factor", Double.self),
        lowFrequencyFactor: inner.required("low_freq_factor", Double.self),
        highFrequencyFactor: inner.required("high_freq_factor", Double.self),
        originalMaxPositions: inner.required("original_max_position_embeddings", Int.self))
    default: throw inner.failure("rope_type", expected: "default or llama3", found: type)
    }
    try self.init(
      theta: inner.optional("rope_theta", Double.self) ?? theta, scaling: scaling, fraction: fraction)
  }

  /// `mrope_section` of `rope_scaling` or `rope_parameters`: rotary pairs that turn by time, height and width.
  ///
  /// - Throws: `InputError` when they are not three that make half a head together.
  static func sections(_ keys: ConfigKeys, headSize: Int) throws -> [Int] {
    let parameters = ["rope_parameters", "rope_scaling"].lazy.compactMap { keys.json[$0]?["mrope_section"] }.first
    let sections = (parameters?.array ?? []).compactMap(\.int)
    guard sections.count == 3, sections.allSatisfy({ (0...headSize).contains($0) }),
      sections.reduce(0, +) == headSize / 2
    else {
      throw keys.failure(
        "mrope_section", expected: "three numbers that make \(headSize / 2) together",
        found: parameters.map { String(decoding: $0.serialized(), as: UTF8.self) } ?? "nothing")
    }
    return sections
  }

  /// The value of `rope_scaling`.
  var member: JSON {
    if let scaling {
      return .object([
        "rope_type": .string("llama3"), "factor": .number(scaling.factor),
        "low_freq_factor": .number(scaling.lowFrequencyFactor),
        "high_freq_factor": .number(scaling.highFrequencyFactor),
        "original_max_position_embeddings": .whole(scaling.originalMaxPositions),
      ])
    }
    guard let sections else { return .null }
    return .object(["type": .string("mrope"), "mrope_section": .array(sections.map(JSON.whole))])
  }
}

extension JSON {
  /// An integer.
  static func whole(_ value: Int) -> JSON { .integer(Int64(value)) }
  /// The shortest decimal of an fp32 value: 1e-05, not 9.999999747378752e-06.
  static func decimal(_ value: Float) -> JSON { .number(Double("\(value)") ?? Double(value)) }
}
