import Architecture
import Foundation
import Layers
import Model
import ModelFiles
import Support
import Tensor
import Testing
import Training

/// Tiny vision-language models against transformers: loading, logits, every gradient, saving.
@Suite(.serialized) struct VisionOracleTests {
  private func model(
    _ loaded: LoadedModel, precision: Precision = .float32, threads: Int = 2, selection: TrainableParameters = .all
  ) -> TrainingModel {
    TrainingModel(
      config: loaded.description.config, parameters: loaded.parameters, precision: precision,
      pool: ThreadPool(threads: threads), selection: selection)
  }

  @Test("Logits of every completion token agree", arguments: VisionModel.allCases)
  func logitsOfEveryCompletionTokenAgree(_ vision: VisionModel) throws {
    let loaded = try vision.load()
    let decoder = Decoder(config: loaded.description.config, precision: .float32, pool: ThreadPool(threads: 2))
    decoder.load(loaded.parameters)
    let expected = try vision.expected()
    #expect(expected.count == 3)
    #expect(expected[0].group.images.count > 1)
    #expect(expected[2].group.images.isEmpty)
    var worst = 0.0
    for expected in expected {
      for (completion, logits) in zip(expected.group.completions, expected.logits) {
        let error = relativeError(decoder.logits(of: completion, after: expected.group), logits)
        #expect(error < 1e-5)
        worst = max(worst, error)
      }
    }
    print("\(vision): logits, worst relative error \(worst)")
  }

  @Test("The gradient of every parameter agrees with autograd", arguments: VisionModel.allCases)
  func theGradientOfEveryParameterAgreesWithAutograd(_ vision: VisionModel) throws {
    let loaded = try vision.load()
    let model = model(loaded)
    model.accumulateGradients(
      try vision.expected().map(\.group), temperature: 1, coefficients: VisionModel.coefficients)
    let expected = try vision.gradients()
    #expect(model.gradients.parameters == expected.parameters)
    var worst = 0.0
    // A bias of keys moves every score of a query alike: its gradient is zero but for rounding.
    let largest = expected.values.elements.reduce(0) { max($0, abs($1)) }
    for (index, parameter) in expected.parameters.enumerated() {
      let scale = expected.scalars(index).reduce(largest * 1e-3) { max($0, abs($1)) }
      let difference = zip(model.gradients.scalars(index), expected.scalars(index)).reduce(0) {
        max($0, abs($1.0 - $1.1))
      }
      let error = Double(difference / scale)
      #expect(error < 1e-4, "\(parameter.name): relative error \(error)")
      worst = max(worst, error)
    }
    print("\(vision): gradients, worst relative error of a tensor \(worst)")
  }

  /// Along each tensor's own gradient the loss must change by the gradient's length.
  @Test("Finite differences along every tensor's gradient agree", arguments: VisionModel.allCases)
  func finiteDifferencesAlongEveryTensorsGradientAgree(_ vision: VisionModel) throws {
    let loaded = try vision.load()
    let parameters = loaded.parameters
    let model = model(loaded)
    let groups = try vision.expected().map(\.group)
    model.accumulateGradients(groups, temperature: 1, coefficients: VisionModel.coefficients)
    func value() -> Double {
      model.weightsChanged()
      let scores = model.score(groups, temperature: 1)
      return zip(scores, VisionModel.coefficients(scores)).reduce(0) { sum, group in
        zip(group.0, group.1).reduce(sum) { sum, sequence in
          zip(sequence.0.logProbabilities, sequence.1).reduce(sum) { $0 + Double($1.0) * Double($1.1) }
        }
      }
    }
    for (index, parameter) in parameters.parameters.enumerated() where !parameter.name.hasPrefix("model.") {
      let gradient = model.gradients.scalars(index).map(Double.init)
      let length = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
      if length < 1e-3 { continue }
      let scalars = parameters.scalars(index)
      let start = Array(scalars)
      func moved(by distance: Double) -> Double {
        for k in scalars.indices { scalars[k] = start[k] + Float(distance * gradient[k] / length) }
        return value()
      }
      let distance = 4e-3
      let slope = (moved(by: distance) - moved(by: -distance)) / (2 * distance)
      _ = scalars.update(fromContentsOf: start)
      #expect(
        abs(slope - length) < 0.01 * length + 2e-3, "\(parameter.name): \(slope) by differences, \(length) by backward")
    }
  }

  @Test("A saved folder has the tensors that it was loaded from", arguments: VisionModel.allCases)
  func aSavedFolderHasTheTensorsThatItWasLoadedFrom(_ vision: VisionModel) throws {
    let loaded = try vision.load()
    let temporary = try TemporaryFolder()
    let kept = ProcessInfo.processInfo.environment["FOVEA_SAVED_VISION_MODELS"]
    let folder = "\(kept ?? temporary.path)/\(vision.rawValue)"
    try withExtendedLifetime(temporary) {
      try ModelSaver.save(loaded.description, parameters: loaded.parameters, to: folder, encoding: .float32)
      let again = try ModelLoader.load(path: folder)
      #expect(again.description.config == loaded.description.config)
      #expect(Array(again.parameters.values.elements) == Array(loaded.parameters.values.elements))
    }
  }

  @Test("A configuration that we write reads back as itself", arguments: VisionModel.allCases)
  func aConfigurationThatWeWriteReadsBackAsItself(_ vision: VisionModel) throws {
    let description = try vision.load().description
    let written = JSON.object(description.family.members(description.config, tokens: ConfigTokens(ends: [2])))
    let again = try ConfigFile.read(written, place: "written")
    #expect(again.config == description.config)
    #expect(again.family.modelType == description.family.modelType)
    #expect(JSON.object(again.family.members(again.config, tokens: ConfigTokens(ends: [2]))) == written)
  }

  @Test("Gradients are the same for any number of threads", arguments: VisionModel.allCases)
  func gradientsAreTheSameForAnyNumberOfThreads(_ vision: VisionModel) throws {
    let loaded = try vision.load()
    let groups = try vision.expected().map(\.group)
    func gradients(_ precision: Precision, threads: Int) -> [Float] {
      let model = model(loaded, precision: precision, threads: threads)
      model.accumulateGradients(groups, temperature: 1, coefficients: VisionModel.coefficients)
      return Array(model.gradients.values.elements)
    }
    for precision in Precision.allCases {
      let one = gradients(precision, threads: 1)
      #expect(one.contains { $0 != 0 })
      for threads in [2, 3] { #expect(gradients(precision, threads: threads) == one) }
    }
  }

  /// The fast path's gradients, rounded at every product, still point where the exact ones point.
  @Test("Gradients in bf16 point where the exact ones point", arguments: VisionModel.allCases)
  func gradientsInBfloat16PointWhereTheExactOnesPoint(_ vision: VisionModel) throws {
    let loaded = try vision.load()
    let groups = try vision.expected().map(\.group)
    func gradients(_ precision: Precision) -> [Double] {
      let model = model(loaded, precision: precision)
      model.accumulateGradients(groups, temperature: 1, coefficients: VisionModel.coefficients)
      return model.gradients.values.elements.map(Double.init)
    }
    let (exact, fast) = (gradients(.float32), gradients(.bfloat16))
    func product(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    let cosine = product(exact, fast) / (product(exact, exact) * product(fast, fast)).squareRoot()
    #expect(cosine > 0.99, "cosine \(cosine)")
  }

  @Test(
    "Frozen parameters get no gradient, and the others the same as without freezing", arguments: VisionModel.allCases)
  func frozenParametersGetNoGradientAndTheOthersTheSame(_ vision: VisionModel) throws {
    let loaded = try vision.load()
    let groups = try vision.expected().map(\.group)
    func gradients(_ frozen: [String]) -> ParameterSet {
      let model = model(loaded, selection: TrainableParameters(frozenPrefixes: frozen))
      model.accumulateGradients(groups, temperature: 1, coefficients: VisionModel.coefficients)
      return model.gradients
    }
    let all = gradients([])
    for frozen in [
      ModelPart.language.prefixes, ModelPart.vision.prefixes, ["projector."], ["vision.", "projector."],
    ] {
      let some = gradients(frozen)
      for (index, parameter) in all.parameters.enumerated() {
        let expected =
          frozen.contains { parameter.name.hasPrefix($0) }
          ? Array(repeating: 0, count: parameter.count) : Array(all.scalars(index))
        #expect(Array(some.scalars(index)) == expected, "\(parameter.name) with \(frozen) frozen")
      }
    }
  }
}

extension Decoder {
  /// Logits `[T, V]` that predict a completion's tokens, prefilled with its prompt and images.
  func logits(of completion: [Int32], after group: TrainingGroup) -> [Float] {
    let tokens = group.promptTokens + completion.dropLast()
    let cache = KeyValueCache(
      config: config, precision: precision, layerCount: config.layerCount,
      blockCount: KeyValueCache.blocks(for: tokens.count))
    var batch = RowBatch()
    let table = batch.addTable((0..<cache.blockCount).compactMap { _ in cache.take() })
    batch.addPrompt(tokens, images: group.images, config: config, table: table)
    batch.outputs = (group.promptTokens.count - 1..<tokens.count).map(Int32.init)
    let states = forward(batch, cache: cache)
    return [Float](unsafeUninitializedCapacity: batch.outputs.count * config.vocabularySize) { buffer, initialized in
      logits(states.words(at: 0), count: batch.outputs.count, into: buffer.baseAddress!)
      initialized = batch.outputs.count * config.vocabularySize
    }
  }
}
