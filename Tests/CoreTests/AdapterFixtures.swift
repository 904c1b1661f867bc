import Foundation
import Layers
import Model
import ModelFiles
import Tensor
import Testing
import Training

/// The adapters of Tests/Fixtures/lora, made by its make_adapters.py with PEFT.
enum PEFTAdapter: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case llama = "llama_gqa"
  case llavaSigLIP = "llava_siglip"
  case llavaCLIP = "llava_clip"
  case qwen = "qwen2_5_vl"
  case internVL = "internvl"

  var testDescription: String { rawValue }

  private static let fixtures = ModelOracle.folder.deletingLastPathComponent()
  private var folder: String { Self.fixtures.path + "/lora/\(rawValue)" }

  /// The adapter's folder as PEFT saved it, with its base in it.
  /// - Parameter weights: the file that becomes adapter_model.safetensors.
  func laidOut(weights: String = "adapter_model.safetensors") throws -> TemporaryFolder {
    let temporary = try TemporaryFolder()
    let files = FileManager.default
    let base = Self.fixtures.path + (self == .llama ? "/model/tiny/" : "/vision/") + rawValue
    try files.createDirectory(atPath: temporary.path + "/base", withIntermediateDirectories: false)
    for name in ["config.json", "model.safetensors"] {
      try files.copyItem(atPath: "\(base)/\(name)", toPath: "\(temporary.path)/base/\(name)")
    }
    try files.copyItem(atPath: "\(ModelFiles.fixtures)/tokenizer.json", toPath: "\(temporary.path)/base/tokenizer.json")
    try files.copyItem(atPath: "\(folder)/adapter_config.json", toPath: "\(temporary.path)/adapter_config.json")
    try files.copyItem(atPath: "\(folder)/\(weights)", toPath: "\(temporary.path)/adapter_model.safetensors")
    return temporary
  }

  func load() throws -> AdaptedModel {
    let folder = try laidOut()
    return try withExtendedLifetime(folder) { try AdaptedModel(folder: folder.path) }
  }

  /// dLoss/dA and dLoss/dB of `VisionModel.coefficients`.
  func gradients() throws -> ParameterSet {
    let folder = try laidOut(weights: "gradients.safetensors")
    return try withExtendedLifetime(folder) { try AdaptedModel(folder: folder.path).adapter.parameters }
  }

  /// The names in PEFT's file.
  func names() throws -> [String] { try TensorFixture("../lora/\(rawValue)/adapter_model.safetensors").names }

  /// Prompts with their completions, and log pi of each completion's tokens, `[group][completion][T]`.
  func expected() throws -> (groups: [TrainingGroup], logProbabilities: [[[Float]]]) {
    let fixture = try TensorFixture("../lora/\(rawValue)/expected.safetensors")
    func numbered(_ prefix: String) -> [String] {
      (0...).lazy.map { "\(prefix).\($0)" }.prefix { fixture.names.contains($0) }.map { $0 }
    }
    let groups =
      try VisionModel(rawValue: rawValue)?.expected().map(\.group)
      ?? (0..<2).map { g in
        TrainingGroup(
          promptTokens: try fixture.integers("\(g).prompt"),
          completions: try numbered("\(g).completion").map { try fixture.integers($0) })
      }
    let logProbabilities = try groups.indices.map { g in try numbered("\(g).logp").map { try fixture.floats($0) } }
    try #require(logProbabilities.map(\.count) == groups.map(\.completions.count))
    return (groups, logProbabilities)
  }
}

extension ParameterSet {
  /// A copy of all scalars.
  var numbers: [Float] { withExtendedLifetime(self) { Array(values.elements) } }
}

extension AdaptedModel {
  func trainingModel(
    _ precision: Precision = .float32, threads: Int = 2, checkpointing: Bool = false
  ) -> TrainingModel {
    TrainingModel(
      config: description.config, parameters: base, adapter: adapter, precision: precision,
      pool: ThreadPool(threads: threads), checkpointing: checkpointing)
  }
}
