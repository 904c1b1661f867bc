import Architecture
import Glibc
import Support
import Tensor
import Tokenizers

/// Loads a model from where it lies: a Hugging Face folder, the folder of an adapter on such a model, or a GGUF file.
///
/// Everything that the files say is checked against their sizes before weights are decoded, so that no file makes the
/// process trap, or take more than a small multiple of the file in memory.
public enum ModelLoader {
  /// The most bytes of a small file; tokenizer.json of the largest vocabularies takes 20 MB.
  private static let smallFileByteCountMax = 64 << 20

  /// The model and its weights.
  ///
  /// - Parameter path: a folder with config.json, tokenizer.json and safetensors, or one with adapter_config.json, or a
  ///   GGUF file. An adapter comes added to its base's weights.
  /// - Throws: `InputError` that names the file and the key or tensor, what was expected and what was found.
  public static func load(path: String) throws -> LoadedModel {
    try load(path: path, families: ModelFamilies.all)
  }

  /// - Parameters:
  ///   - families: those that the model may be of.
  ///   - depth: adapters that may still stand on another.
  package static func load(
    path: String, families: [any ModelFamily], depth: Int = AdaptedModel.depthMax
  ) throws -> LoadedModel {
    if try isAdapter(path, depth: depth) {
      return try AdaptedModel(folder: path, families: families, depth: depth).merged()
    }
    if try isFolder(path) {
      let description = try describe(folder: path, families: families)
      let (config, names) = (description.config, description.family.names)
      let parameters = try ParameterSet(
        parameters: config.parameters,
        tensors: names.canonical(try SafetensorsFile.tensors(folder: path), config: config),
        names: names, ignoring: { names.isNoParameter($0, of: config) }, place: path)
      return LoadedModel(description: description, parameters: parameters)
    }
    return try load(gguf: MappedFile(path: path), families: families)
  }

  /// The model and its weights of a GGUF file.
  package static func load(
    gguf file: MappedFile, families: [any ModelFamily] = ModelFamilies.all
  ) throws -> LoadedModel {
    let model = try GGUFModel(file, families: families)
    let description = try describe(model, path: file.path)
    let parameters = try ParameterSet(
      parameters: model.config.parameters, tensors: model.tensors,
      ignoring: GGUFModel.isDerived, place: file.path)
    return LoadedModel(description: description, parameters: parameters)
  }

  /// The model without its weights.
  ///
  /// - Throws: `InputError` as `load` does; the safetensors of a folder are not read.
  public static func describe(path: String) throws -> ModelDescription {
    try describe(path: path, families: ModelFamilies.all)
  }

  /// An adapter is described by its base.
  ///
  /// - Parameters:
  ///   - families: those that the model may be of.
  ///   - depth: adapters that may still stand on another.
  package static func describe(
    path: String, families: [any ModelFamily], depth: Int = AdaptedModel.depthMax
  ) throws -> ModelDescription {
    if try isAdapter(path, depth: depth) {
      return try describe(path: AdaptedModel.basePath(folder: path), families: families, depth: depth - 1)
    }
    return try isFolder(path)
      ? describe(folder: path, families: families)
      : describe(GGUFModel(MappedFile(path: path), families: families), path: path)
  }

  private static func isAdapter(_ path: String, depth: Int) throws -> Bool {
    guard AdaptedModel.isAdapter(path) else { return false }
    guard depth > 0 else {
      throw InputError(
        "load adapter", at: path, expected: "at most \(AdaptedModel.depthMax) adapters, each on the one before",
        found: "another one")
    }
    return true
  }

  private static func describe(_ model: GGUFModel, path: String) throws -> ModelDescription {
    try ModelDescription(
      config: model.config, family: model.family, tokenizer: Tokenizer(definition: model.tokenizer),
      tokens: model.tokens, place: path)
  }

  private static func describe(folder: String, families: [any ModelFamily]) throws -> ModelDescription {
    var files: [String: [UInt8]] = [:]
    for name in ModelDescription.FileName.all where access("\(folder)/\(name)", F_OK) == 0 {
      files[name] = try MappedFile.contents(of: "\(folder)/\(name)", byteCountMax: smallFileByteCountMax)
    }
    return try ModelDescription(files: files, families: families, place: folder)
  }

  private static func isFolder(_ path: String) throws -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw InputError(
        "load model", at: path, expected: "a Hugging Face folder or a GGUF file",
        found: String(cString: strerror(errno)))
    }
    return status.st_mode & S_IFMT == S_IFDIR
  }
}
