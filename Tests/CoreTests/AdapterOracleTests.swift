import Architecture
import Foundation
import Layers
import Model
import ModelFiles
import Support
import Tensor
import Testing
import Training

/// Adapters against PEFT: what a model says with them, the gradients of A and B, and the files. With
/// FOVEA_SAVED_ADAPTERS the saved folders stay there, for check_saved.py.
@Suite(.serialized) struct AdapterOracleTests {
  private func gradients(
    _ model: TrainingModel, _ groups: [TrainingGroup]
  ) -> ParameterSet {
    model.accumulateGradients(groups, temperature: 1, coefficients: VisionModel.coefficients)
    return model.gradients
  }

  @Test("What PEFT wrote opens and gives the same logits", arguments: PEFTAdapter.allCases)
  func whatPEFTWroteOpensAndSaysTheSame(_ peft: PEFTAdapter) throws {
    let expected = try peft.expected()
    let model = try peft.load()
    let scores = model.trainingModel().score(expected.groups, temperature: 1)
    var worst = 0.0
    for (found, wanted) in zip(scores.joined(), expected.logProbabilities.joined()) {
      let error = relativeError(found.logProbabilities, wanted)
      #expect(error < 1e-5)
      worst = max(worst, error)
    }
    print("\(peft): log-probabilities, worst relative error \(worst)")
    // Opened as a model, with the adapter in its weights, it is the same to the bit.
    let folder = try peft.laidOut()
    let whole = try withExtendedLifetime(folder) { try ModelLoader.load(path: folder.path) }
    let merged = TrainingModel(
      config: whole.description.config, parameters: whole.parameters, precision: .float32,
      pool: ThreadPool(threads: 1), trainable: false)
    #expect(merged.score(expected.groups, temperature: 1) == scores)
    #expect(try withExtendedLifetime(folder) { try ModelLoader.describe(path: folder.path).config } == merged.config)
  }

  @Test("The gradients of A and B agree with autograd", arguments: PEFTAdapter.allCases)
  func theGradientsOfAAndBAgreeWithAutograd(_ peft: PEFTAdapter) throws {
    let expected = try peft.gradients()
    let found = gradients(try peft.load().trainingModel(), try peft.expected().groups)
    #expect(found.parameters == expected.parameters)
    let largest = expected.values.elements.reduce(0) { max($0, abs($1)) }
    var worst = 0.0
    for (index, parameter) in expected.parameters.enumerated() {
      let scale = expected.scalars(index).reduce(largest * 1e-3) { max($0, abs($1)) }
      let difference = zip(found.scalars(index), expected.scalars(index)).reduce(0) { max($0, abs($1.0 - $1.1)) }
      #expect(difference < 1e-4 * scale, "\(parameter.name): relative error \(difference / scale)")
      worst = max(worst, Double(difference / scale))
    }
    print("\(peft): gradients, worst relative error of a tensor \(worst)")
  }

  @Test("A saved folder has PEFT's names and opens as itself", arguments: PEFTAdapter.allCases)
  func aSavedFolderHasPEFTsNamesAndOpensAsItself(_ peft: PEFTAdapter) throws {
    let temporary = try peft.laidOut()
    let model = try AdaptedModel(folder: temporary.path)
    let kept = ProcessInfo.processInfo.environment["FOVEA_SAVED_ADAPTERS"]
    let folder = "\(kept ?? temporary.path)/\(peft.rawValue)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try model.save(to: folder)
    let names = try SafetensorsFile.tensors(path: folder + "/adapter_model.safetensors").keys.sorted()
    #expect(try names == peft.names())
    // The word "proj" is also that of Qwen's patch embedding, and "2" that of a block.
    let config = try JSON.parse(
      [UInt8](Data(contentsOf: URL(fileURLWithPath: folder + "/adapter_config.json"))), place: folder)
    let targets = try #require(config["target_modules"]?.array).compactMap(\.string)
    #expect(targets.contains { $0.contains(".") } == (peft == .qwen), "\(targets)")
    let again = try withExtendedLifetime(temporary) { try AdaptedModel(folder: folder) }
    #expect(again.adapter.description == model.adapter.description)
    #expect(again.source == model.source)
    #expect(again.adapter.parameters.numbers == model.adapter.parameters.numbers)
  }

  @Test(
    "Gradients are the same for any number of threads and with checkpointing", arguments: PEFTAdapter.allCases,
    Precision.allCases)
  func gradientsAreTheSameForAnyNumberOfThreadsAndWithCheckpointing(
    _ peft: PEFTAdapter, _ precision: Precision
  ) throws {
    let groups = try peft.expected().groups
    let model = try peft.load()
    model.adapter.round(model.base)
    let one = gradients(model.trainingModel(precision, threads: 1), groups).numbers
    #expect(one.contains { $0 != 0 })
    for (threads, checkpointing) in [(2, false), (3, true)] {
      let other = gradients(model.trainingModel(precision, threads: threads, checkpointing: checkpointing), groups)
      #expect(other.numbers == one)
    }
  }

  @Test("Gradients in bf16 point where the exact ones point", arguments: PEFTAdapter.allCases)
  func gradientsInBfloat16PointWhereTheExactOnesPoint(_ peft: PEFTAdapter) throws {
    let groups = try peft.expected().groups
    func gradients(_ precision: Precision) throws -> [Double] {
      let model = try peft.load().trainingModel(precision)
      return self.gradients(model, groups).numbers.map(Double.init)
    }
    let (exact, fast) = (try gradients(.float32), try gradients(.bfloat16))
    func product(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    let cosine = product(exact, fast) / (product(exact, exact) * product(fast, fast)).squareRoot()
    #expect(cosine > 0.98, "cosine \(cosine)")
  }

  /// An update reaches the packed weights, and what is saved then opens as the model that was trained, in either
  /// precision.
  @Test("A trained adapter opens as the model that was trained", arguments: PEFTAdapter.allCases, Precision.allCases)
  func aTrainedAdapterOpensAsTheModelThatWasTrained(_ peft: PEFTAdapter, _ precision: Precision) throws {
    let groups = try peft.expected().groups
    let temporary = try peft.laidOut()
    try withExtendedLifetime(temporary) {
      var wanted = try AdaptedModel(folder: temporary.path).adapter.description
      wanted.basePrecision = precision
      let (model, resumes) = try AdaptedModel.start(path: temporary.path, wanted, seed: 1)
      #expect(resumes)
      let training = model.trainingModel(precision)
      let before = training.score(groups, temperature: 1)
      model.adapter.parameters.values.elements.indices.forEach { model.adapter.parameters.values.pointer[$0] *= 1.5 }
      training.weightsChanged()
      let trained = training.score(groups, temperature: 1)
      #expect(trained != before)

      let folder = temporary.path + "/saved"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
      try model.save(to: folder)
      let opened = try ModelLoader.load(path: folder)
      let scorer = TrainingModel(
        config: opened.description.config, parameters: opened.parameters, precision: precision,
        pool: ThreadPool(threads: 1), trainable: false)
      #expect(scorer.score(groups, temperature: 1) == trained)
    }
  }
}
