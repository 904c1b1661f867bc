import Architecture
import Foundation
import Layers
import Model
import ModelFiles
import Tensor
import Testing
import Tokenizers

/// Saved folders give the logits of the model that was saved. With FOVEA_SAVED_MODELS the folders stay there, each
/// next to what we compute with it, and `make check-transformers` opens them in transformers.
@Suite(.serialized) struct ModelOracleSavingTests {
  @Test(
    "A tiny folder loads as its configuration, and what is saved has the same logits", arguments: TinyModel.allCases)
  func aTinyFolderLoadsAsItsConfigurationAndSavesTheSameLogits(_ tiny: TinyModel) throws {
    let source = try ModelFiles.folder(ofTiny: tiny.rawValue)
    let loaded = try withExtendedLifetime(source) { try ModelLoader.load(path: source.path) }
    #expect(loaded.description.config == tiny.config)
    let parameters = try tiny.parameters()
    #expect(Array(loaded.parameters.values.elements) == Array(parameters.values.elements))
    try expectSameLogitsAfterSaving(loaded, name: tiny.rawValue, tokens: try tiny.expected()[2].tokens)
  }

  @Test(
    "The default model has the same logits after saving",
    .enabled(if: ModelOracle.defaultModelPath != nil, ModelOracle.needsDefaultModel))
  func theDefaultModelSavesTheSameLogits() throws {
    let loaded = try ModelLoader.load(path: try #require(ModelOracle.defaultModelPath))
    let text = ModelOracle.defaultModel.cases[17].text
    try expectSameLogitsAfterSaving(
      loaded, name: "default", tokens: loaded.description.tokenizer.encode(text), text: text)
  }

  private func expectSameLogitsAfterSaving(
    _ loaded: LoadedModel, name: String, tokens: [Int32], text: String? = nil
  ) throws {
    let kept = ProcessInfo.processInfo.environment["FOVEA_SAVED_MODELS"]
    let temporary = try TemporaryFolder()
    let folder = "\(kept ?? temporary.path)/\(name)"
    let logits = try logits(of: loaded, tokens)
    try withExtendedLifetime(temporary) {
      try ModelSaver.save(loaded.description, parameters: loaded.parameters, to: folder, encoding: .float32)
      #expect(try self.logits(of: ModelLoader.load(path: folder), tokens) == logits)
    }
    guard kept != nil else { return }
    let scores: [String: Any] = [
      "tokens": tokens, "lastLogits": logits.suffix(loaded.description.config.vocabularySize).map { Double($0) },
    ]
    try JSONSerialization.data(withJSONObject: scores).write(to: URL(fileURLWithPath: folder + ".json"))
    try text.map { try Data($0.utf8).write(to: URL(fileURLWithPath: folder + ".txt")) }
  }

  private func logits(of model: LoadedModel, _ tokens: [Int32]) throws -> [Float] {
    let decoder = Decoder(config: model.description.config, precision: .float32, pool: ThreadPool(threads: 2))
    decoder.load(model.parameters)
    return decoder.logitsOfEveryPosition(tokens)
  }
}
