import Architecture
import Foundation
import Reinforcement
import Tensor
import Testing

/// What PyTorch computed for models: Tests/Fixtures/model, made by its make.py.
enum ModelOracle {
  static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures/model")

  /// Where the default model lies, or nil: tests that need it are then skipped by name.
  static let defaultModelPath: String? = {
    let root = folder.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let models =
      ProcessInfo.processInfo.environment["FOVEA_MODELS"] ?? root.appendingPathComponent("models").path
    let path = models + "/SmolLM2-135M-Instruct.Q4_1.gguf"
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }()

  static let needsDefaultModel: Comment = "the default model is missing: run deploy/setup --no-build"

  /// default_model.json
  struct DefaultModel: Decodable {
    struct Case: Decodable, Sendable, CustomTestStringConvertible {
      var text: String
      var tokens: [Int32]
      /// Of token t + 1 at position t. `[T - 1]`
      var logProbabilities: [Float]
      /// nats `[T]`
      var entropies: [Float]
      /// Every `logitStride`-th logit at the last position.
      var stridedLogits: [Float]
      var topTokens: [Int]
      var topLogits: [Float]
      var greedyTokens: [Int32]
      /// By how much each greedy token's logit beat the second.
      var greedyMargins: [Float]
      var testDescription: String { "\(tokens.count) tokens: \(text.prefix(24))" }
    }
    var logitStride: Int
    var cases: [Case]
  }

  /// step/step.json: a training step of tiny/llama_gqa. Everything per token is `[group][sample][T]`.
  struct TrainingStep: Decodable {
    struct Group: Decodable {
      var prompt: [Int32]
      var completions: [[Int32]]
      var rewards: [Float]
    }
    struct Constants: Decodable {
      var uadtLambda, gamma, sensitivity, alpha, kappa, clipLow, clipHigh, klCoefficient, importanceCap,
        constantLength, previousTau: Float
    }
    struct AdamWSettings: Decodable {
      var learningRate, beta1, beta2, epsilon, weightDecay, gradientClip: Float
    }
    struct Case: Decodable, Sendable, CustomTestStringConvertible {
      var name, shaping, level, normalize, aggregation, ratio: String
      var temperature: Float
      var clippedLow, clippedHigh, importanceCapped: Int
      var logProbabilities, entropies, old, behaviour, reference, advantages: [[[Float]]]
      var tau, meanEntropy: Float
      var loss, gradientNorm: Double
      var testDescription: String { name }
    }
    var groups: [Group]
    var constants: Constants
    var adamw: AdamWSettings
    var cases: [Case]
  }

  static let defaultModel: DefaultModel = decoded("default_model.json")
  static let trainingStep: TrainingStep = decoded("step/step.json")

  private static func decoded<Value: Decodable>(_ name: String) -> Value {
    do {
      return try JSONDecoder().decode(Value.self, from: Data(contentsOf: folder.appendingPathComponent(name)))
    } catch { fatalError("fixture \(name): \(error)") }
  }
}

/// A safetensors file of the fixtures, read by code that shares nothing with Fovea's own reader.
struct TensorFixture {
  private struct Entry: Decodable {
    var dtype: String
    var shape: [Int]
    var data_offsets: [Int]
  }
  private let entries: [String: Entry]
  private let payload: [UInt8]

  init(_ name: String) throws {
    let bytes = try [UInt8](Data(contentsOf: ModelOracle.folder.appendingPathComponent(name)))
    let headerCount = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    var header = try #require(
      try JSONSerialization.jsonObject(with: Data(bytes[8..<8 + headerCount])) as? [String: Any])
    header["__metadata__"] = nil
    entries = try JSONDecoder().decode([String: Entry].self, from: JSONSerialization.data(withJSONObject: header))
    payload = [UInt8](bytes[(8 + headerCount)...])
  }

  var names: [String] { entries.keys.sorted() }

  func shape(_ name: String) throws -> [Int] { try #require(entries[name]).shape }

  func floats(_ name: String) throws -> [Float] { try values(name, "F32") }

  func integers(_ name: String) throws -> [Int32] { try values(name, "I32") }

  private func values<Value: BitwiseCopyable>(_ name: String, _ type: String) throws -> [Value] {
    let entry = try #require(entries[name], "no tensor \(name)")
    try #require(entry.dtype == type)
    let range = entry.data_offsets[0]..<entry.data_offsets[1]
    return payload[range].withUnsafeBytes { raw in
      stride(from: 0, to: raw.count, by: MemoryLayout<Value>.stride).map {
        raw.loadUnaligned(fromByteOffset: $0, as: Value.self)
      }
    }
  }

  /// All tensors as the parameters of a model of this shape; none may be missing, and none left over.
  func parameters(of config: ModelConfig) throws -> ParameterSet {
    let set = ParameterSet(config: config)
    try #require(set.parameters.map(\.name).sorted() == names)
    for (index, parameter) in set.parameters.enumerated() {
      try #require(try shape(parameter.name) == parameter.shape)
      _ = set.scalars(index).update(fromContentsOf: try floats(parameter.name))
    }
    return set
  }
}

/// The tiny models of Tests/Fixtures/model/tiny, as make.py describes them.
enum TinyModel: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case llamaGQA = "llama_gqa"
  case llamaBiasUntied = "llama_bias_untied"
  case llama3Scaling = "llama3_scaling"
  case qwen2
  case qwen3

  var testDescription: String { rawValue }

  var config: ModelConfig {
    var config = ModelConfig(
      vocabularySize: 96, hiddenSize: 32, feedForwardSize: 48, layerCount: 2, headCount: 4, keyValueHeadCount: 2,
      maxPositions: 128)
    switch self {
    case .llamaGQA: break
    case .llamaBiasUntied:
      (config.headCount, config.keyValueHeadCount, config.headSize, config.tiedHead) = (2, 1, 16, false)
      config.block.attention = .init(queryKeyValueBias: true, outputBias: true)
      config.block.feedForward.bias = true
    case .llama3Scaling:
      (config.headSize, config.tiedHead) = (16, false)
      config.block.rotary.scaling = RotaryDescription.Scaling(
        factor: 4, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 32)
    case .qwen2:
      (config.block.rotary.theta, config.block.attention.queryKeyValueBias) = (1e6, true)
    case .qwen3:
      (config.block.rotary.theta, config.block.attention.queryKeyNorm) = (1e6, .eachHead)
      (config.headSize, config.tiedHead) = (16, false)
    }
    return config
  }

  func parameters() throws -> ParameterSet {
    try TensorFixture("tiny/\(rawValue)/model.safetensors").parameters(of: config)
  }

  /// Token sequences, and their logits `[T, V]`.
  func expected() throws -> [(tokens: [Int32], logits: [Float])] {
    let fixture = try TensorFixture("tiny/\(rawValue)/expected.safetensors")
    return try [1, 9, 40].map { (try fixture.integers("tokens.\($0)"), try fixture.floats("logits.\($0)")) }
  }
}

/// The largest absolute difference over the largest magnitude expected: the relative error of one tensor.
func relativeError(_ actual: some Collection<Float>, _ expected: some Collection<Float>) -> Double {
  precondition(actual.count == expected.count, "\(actual.count) values, \(expected.count) expected")
  let difference = zip(actual, expected).reduce(0.0) { max($0, abs(Double($1.0) - Double($1.1))) }
  let scale = expected.reduce(0.0) { max($0, abs(Double($1))) }
  return scale > 0 ? difference / scale : difference
}
