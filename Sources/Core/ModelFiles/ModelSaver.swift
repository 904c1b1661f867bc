import Architecture
import Foundation
import Support
import Tensor

/// Saves a model as a Hugging Face folder that `transformers` opens as it is.
public enum ModelSaver {
  /// What the saved weights are.
  public enum Encoding: String, Equatable, Sendable, CaseIterable {
    /// Exactly what a decoder of bf16 computes with: matrices rounded to nearest even, vectors (norms, biases) in fp32.
    case bfloat16
    case float32

    /// What one parameter is saved as.
    func encoding(of parameter: ParameterShape) -> Self { parameter.shape.count > 1 ? self : .float32 }
  }

  /// Writes config.json, generation_config.json, tokenizer.json, tokenizer_config.json and model.safetensors.
  ///
  /// Files of these names are replaced one by one; to replace all or nothing, save to a new folder and rename it.
  ///
  /// - Parameters:
  ///   - parameters: those of `description.config`.
  ///   - folder: made when it does not exist.
  /// - Throws: `InputError` when the disk refuses.
  public static func save(
    _ description: ModelDescription, parameters: ParameterSet, to folder: String, encoding: Encoding
  ) throws {
    precondition(parameters.parameters == description.config.parameters, "parameters of another model")
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw InputError("save model", at: folder, expected: "a folder that can be made", found: "\(error)")
    }
    var files = description.files
    files[ModelDescription.FileName.config] = try config(of: description, encoding: encoding)
    for (name, bytes) in files { try FileWriter.write(bytes, to: "\(folder)/\(name)") }
    try SafetensorsFile.write(
      parameters, to: "\(folder)/model.safetensors", encoding: encoding,
      fileName: description.family.names.fileName(of:))
  }

  /// The model's own config.json with the type of the saved weights.
  private static func config(of description: ModelDescription, encoding: Encoding) throws -> [UInt8] {
    let name = ModelDescription.FileName.config
    var members = try JSON.parse(description.files[name] ?? [], place: name).object ?? [:]
    members["dtype"] = nil  // the newer word, which would win
    members["torch_dtype"] = .string(encoding.rawValue)
    return JSON.object(members).serialized(pretty: true)
  }
}
