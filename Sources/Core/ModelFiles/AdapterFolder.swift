import Architecture
import Glibc
import Model
import Support
import Tensor

/// Reads and writes adapters as PEFT does: `adapter_config.json` and `adapter_model.safetensors`.
///
/// The tensors' names are PEFT's for the model that `transformers` builds of the base, so that it opens what is written
/// here, and what it writes opens here. Next to the tensors stand two texts of our own, which other readers ignore: the
/// checksum of the base's weights and the precision that they were rounded to. An adapter of PEFT's has neither, so its
/// base is taken as it is.
///
/// Source: PEFT's `LoraConfig` and `get_peft_model_state_dict`.
extension AdaptedModel {
  package enum FileName {
    package static let config = "adapter_config.json"
    package static let weights = "adapter_model.safetensors"
  }

  private enum Metadata {
    static let checksum = "base_xxh3_128"
    static let precision = "base_precision"
  }

  /// The most adapters on top of one another; the bound also ends a folder that names itself as its base.
  static let depthMax = 4

  private static let prefix = "base_model.model."
  private static let suffixes = (a: ".lora_A.weight", b: ".lora_B.weight")

  /// Whether a path is the folder of an adapter.
  public static func isAdapter(_ path: String) -> Bool { access("\(path)/\(FileName.config)", F_OK) == 0 }

  /// The model of an adapter's folder; the base is loaded from where the folder says that it is.
  ///
  /// - Throws: `InputError` for an adapter of another kind, tensors that do not belong to the base, and another base
  ///   than the one that it was trained on.
  public init(folder: String) throws { try self.init(folder: folder, depth: Self.depthMax) }

  /// - Parameters:
  ///   - basePrecision: what the base is rounded to, instead of what the adapter was trained with.
  ///   - families: those that the base may be of.
  ///   - depth: adapters that may still stand on another, this one included.
  init(
    folder: String, basePrecision: Precision? = nil, families: [any ModelFamily] = ModelFamilies.all,
    depth: Int = AdaptedModel.depthMax
  ) throws {
    let config = try AdapterConfig(folder: folder)
    let file = try MappedFile(path: "\(folder)/\(FileName.weights)")
    let path = try config.basePath(from: folder)
    try self.init(
      base: ModelLoader.load(path: path, families: families, depth: depth - 1), path: path,
      checksum: SafetensorsFile.metadata(in: file)[Metadata.checksum]
    ) { try Self.adapter(config, file, of: $0.config, family: $0.family, basePrecision: basePrecision) }
  }

  /// The adapter that a file holds, for a model.
  ///
  /// - Throws: `InputError` for tensors that do not belong to the model.
  package static func adapter(
    _ config: AdapterConfig, _ file: MappedFile, of model: ModelConfig, family: any ModelFamily,
    basePrecision: Precision? = nil
  ) throws -> LowRankAdapter {
    let metadata = try SafetensorsFile.metadata(in: file)
    let tensors = try canonical(
      SafetensorsFile.tensors(in: file), names: family.names, config: model, place: file.path)
    var description = AdapterDescription(
      rank: config.rank, alpha: config.alpha,
      basePrecision: basePrecision ?? metadata[Metadata.precision].flatMap { Precision(rawValue: $0) } ?? .float32,
      names: model.linearLayers.map(\.name).filter { tensors[AdapterDescription.names(of: $0).a] != nil })
    description.isRankStabilized = config.isRankStabilized
    let adapter = try LowRankAdapter(description, config: model, place: file.path)
    adapter.parameters.update(
      from: try ParameterSet(
        parameters: adapter.parameters.parameters, tensors: tensors, names: family.names, ignoring: { _ in false },
        place: file.path))
    return adapter
  }

  /// Where an adapter's base is.
  /// - Throws: `InputError` when the folder has no adapter that can be read.
  static func basePath(folder: String) throws -> String { try AdapterConfig(folder: folder).basePath(from: folder) }

  /// An adapter's tensors under the names of `LowRankAdapter.parameters`.
  private static func canonical(
    _ tensors: [String: StoredTensor], names: TensorNames, config: ModelConfig, place: String
  ) throws -> [String: StoredTensor] {
    var result: [String: StoredTensor] = [:]
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      let isA = name.hasSuffix(suffixes.a)
      guard name.hasPrefix(prefix), isA || name.hasSuffix(suffixes.b),
        let weight = names.weight(
          ofModule: String(name.dropFirst(prefix.count).dropLast(suffixes.a.count)), config: config)
      else {
        throw InputError(
          "load adapter", at: place,
          expected: "tensors \(prefix)LAYER\(suffixes.a) and \(suffixes.b) of the base's linear layers", found: name)
      }
      let names = AdapterDescription.names(of: weight)
      result[isA ? names.a : names.b] = tensor
    }
    return result
  }

  /// Writes the adapter into an existing folder; the base and its small files stay where they are.
  ///
  /// - Throws: `InputError` when the disk refuses.
  public func save(to folder: String) throws {
    let (names, details) = (description.family.names, adapter.description)
    let json = AdapterConfig(
      base: source.path, rank: details.rank, alpha: details.alpha, isRankStabilized: details.isRankStabilized
    ).json(targets: targets, task: description.config.vision == nil ? "CAUSAL_LM" : nil)
    try FileWriter.write(json.serialized(pretty: true), to: "\(folder)/\(FileName.config)")
    try SafetensorsFile.write(
      adapter.parameters, to: "\(folder)/\(FileName.weights)", encoding: .float32,
      fileName: { name in
        let suffix = name.hasSuffix(Self.suffixes.a) ? Self.suffixes.a : Self.suffixes.b
        let weight = name.dropLast(suffix.count) + ".weight"
        return Self.prefix + names.module(of: String(weight)) + suffix
      },
      metadata: [Metadata.checksum: source.checksum, Metadata.precision: details.basePrecision.rawValue])
  }

  /// The adapted layers as PEFT names them: by the last words of their names if no other module is called so.
  private var targets: [String] {
    let names = description.family.names
    let adapted = Set(adapter.weights.map { names.module(of: $0.name) })
    func word(_ module: String) -> String { module.split(separator: ".").last.map(String.init) ?? module }
    let words = Set(adapted.map(word))
    let others = description.config.parameters.flatMap { parameter in
      let parts = names.module(of: parameter.name).split(separator: ".")
      return parts.indices.map { parts[...$0].joined(separator: ".") }
    }
    let isPlain = others.allSatisfy { adapted.contains($0) || !words.contains(word($0)) }
    return (isPlain ? words : adapted).sorted()
  }
}

/// The content of adapter_config.json.
package struct AdapterConfig {
  /// `base_model_name_or_path` as the file has it.
  var base: String
  var rank: Int
  var alpha: Double
  var isRankStabilized: Bool

  private static let byteCountMax = 4 << 20
  /// Keys of adapters that compute something else: each must be absent, null, false or empty.
  private static let variants = [
    "use_dora", "use_qalora", "lora_bias", "fan_in_fan_out", "modules_to_save", "rank_pattern", "alpha_pattern",
    "layer_replication", "target_parameters", "trainable_token_indices",
  ]

  init(base: String, rank: Int, alpha: Double, isRankStabilized: Bool) {
    (self.base, self.rank, self.alpha, self.isRankStabilized) = (base, rank, alpha, isRankStabilized)
  }

  init(folder: String) throws {
    let place = "\(folder)/\(AdaptedModel.FileName.config)"
    try self.init(MappedFile.contents(of: place, byteCountMax: Self.byteCountMax), place: place)
  }

  /// - Throws: `InputError` that names the key.
  package init(_ bytes: [UInt8], place: String) throws {
    let json = try JSON.parse(bytes, place: place)
    func failure(_ key: String, expected: String) -> InputError {
      InputError("load adapter", at: "\(place), key \(key)", expected: expected, found: json[key]?.kind ?? "nothing")
    }
    guard json["peft_type"]?.string == "LORA" else { throw failure("peft_type", expected: "LORA") }
    for key in Self.variants where json[key].map({ !Self.saysNothing($0) }) ?? false {
      throw failure(key, expected: "an adapter of A and B alone")
    }
    guard json["bias"]?.string ?? "none" == "none" else { throw failure("bias", expected: "none") }
    rank = try json.required("r", Int.self, at: place)
    guard rank > 0 else { throw failure("r", expected: "a rank of 1 or more") }
    guard let alpha = json["lora_alpha"]?.double, alpha.isFinite else {
      throw failure("lora_alpha", expected: "a number")
    }
    self.alpha = alpha
    isRankStabilized = json["use_rslora"]?.bool ?? false
    base = try json.required("base_model_name_or_path", String.self, at: place)
  }

  /// The base's path as it is, or next to the adapter.
  func basePath(from folder: String) throws -> String {
    let candidates = base.hasPrefix("/") ? [base] : [base, "\(folder)/\(base)"]
    guard let path = candidates.first(where: { access($0, F_OK) == 0 }) else {
      throw InputError(
        "load adapter", at: "\(folder)/\(AdaptedModel.FileName.config), key base_model_name_or_path",
        expected: "a folder or a GGUF file of this machine", found: base)
    }
    return path
  }

  private static func saysNothing(_ value: JSON) -> Bool {
    switch value {
    case .null, .bool(false): true
    case .array(let values): values.isEmpty
    case .object(let members): members.isEmpty
    default: false
    }
  }

  func json(targets: [String], task: String?) -> JSON {
    .object([
      "peft_type": .string("LORA"), "task_type": task.map { .string($0) } ?? .null,
      "base_model_name_or_path": .string(base), "r": .integer(Int64(rank)), "lora_alpha": .number(alpha),
      "use_rslora": .bool(isRankStabilized), "target_modules": .array(targets.map { .string($0) }),
      "lora_dropout": .number(0), "bias": .string("none"), "fan_in_fan_out": .bool(false), "use_dora": .bool(false),
      "modules_to_save": .null, "init_lora_weights": .bool(true), "inference_mode": .bool(true),
    ])
  }
}
