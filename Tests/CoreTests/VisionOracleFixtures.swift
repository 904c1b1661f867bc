import Architecture
import Foundation
import ModelFiles
import Tensor
import Testing
import Training

/// The tiny vision-language models of Tests/Fixtures/vision, made by its make.py with transformers.
enum VisionModel: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case llavaSigLIP = "llava_siglip"
  case llavaCLIP = "llava_clip"
  case qwen = "qwen2_5_vl"
  case internVL = "internvl"
  case internVLRootMeanSquare = "internvl_rms"

  var testDescription: String { rawValue }

  /// What transformers said of one group.
  struct Expected {
    var group: TrainingGroup
    /// Logits that predict each completion's tokens, `[T, V]`.
    var logits: [[Float]]
  }

  static let folder = ModelOracle.folder.deletingLastPathComponent().appendingPathComponent("vision")

  /// The model, loaded as a Hugging Face folder.
  func load() throws -> LoadedModel { try load(weights: "\(rawValue)/model.safetensors") }

  /// dLoss/dparameter of `coefficient`, in the layout of the parameters.
  func gradients() throws -> ParameterSet { try load(weights: "\(rawValue)/gradients/model.safetensors").parameters }

  private func load(weights: String) throws -> LoadedModel {
    let temporary = try TemporaryFolder()
    let files = FileManager.default
    let path = Self.folder.path
    try files.copyItem(atPath: "\(path)/\(rawValue)/config.json", toPath: "\(temporary.path)/config.json")
    try files.copyItem(atPath: "\(path)/\(weights)", toPath: "\(temporary.path)/model.safetensors")
    try files.copyItem(atPath: "\(ModelFiles.fixtures)/tokenizer.json", toPath: "\(temporary.path)/tokenizer.json")
    return try withExtendedLifetime(temporary) { try ModelLoader.load(path: temporary.path) }
  }

  func expected() throws -> [Expected] {
    let fixture = try TensorFixture("../vision/\(rawValue)/expected.safetensors")
    let names = Set(fixture.names)
    func numbered(_ prefix: String) -> [String] {
      (0...).lazy.map { "\(prefix).\($0)" }.prefix { names.contains($0) }.map { $0 }
    }
    return try (0...).lazy.prefix { names.contains("\($0).prompt") }.map { g in
      let images = try numbered("\(g).image").map { name in
        let shape = try fixture.shape(name)
        return ImageTensor(height: shape[1], width: shape[2], values: try fixture.floats(name))
      }
      return Expected(
        group: TrainingGroup(
          promptTokens: try fixture.integers("\(g).prompt"),
          completions: try numbered("\(g).completion").map { try fixture.integers($0) }, images: images),
        logits: try numbered("\(g).logits").map { try fixture.floats($0) })
    }
  }

  /// c_t of make.py: dLoss/dlog pi of token t of completion i.
  static func coefficient(_ i: Int, _ t: Int) -> Float { Float((5 * t + 3 * i) % 11 - 5) / 8 }

  static func coefficients(_ scores: [[SequenceScores]]) -> [[[Float]]] {
    scores.map { group in
      group.enumerated().map { i, sequence in sequence.logProbabilities.indices.map { coefficient(i, $0) } }
    }
  }
}
