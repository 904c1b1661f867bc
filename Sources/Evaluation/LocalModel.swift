import Architecture
import Engine
import Layers
import Model
import ModelFiles
import Processors
import Prompts
import Support
import Tasks
import Tensor
import Tokenizers

/// A model on this machine that answers an evaluation set, many prompts at once.
///
/// The arithmetic is exact: its answers are those that the learner's own forward pass gives.
public struct LocalModel: EvaluatedModel {
  private let decoder: Decoder
  private let model: ModelDescription
  private let processor: PromptProcessor
  private let slots: Int

  /// - Parameters:
  ///   - decoder: of the model; its weights stay as they are while it answers.
  ///   - slots: prompts answered at once, at least 1.
  public init(_ decoder: Decoder, _ model: ModelDescription, _ processor: PromptProcessor, slots: Int) {
    self.decoder = decoder
    self.model = model
    self.processor = processor
    self.slots = slots
  }

  /// Loads a model from a folder or a GGUF file.
  public init(path: String, precision: Precision, pool: ThreadPool, slots: Int) throws {
    let model = try ModelLoader.load(path: path)
    let decoder = Decoder(config: model.description.config, precision: precision, pool: pool)
    decoder.load(model.parameters)
    self.init(decoder, model.description, try PromptProcessor(model.description, place: path), slots: slots)
  }

  public func answers(_ evaluationSet: EvaluationSet, progress: (Int) -> Void) throws -> [Answer] {
    let engine = GenerationEngine(
      decoder: decoder, slotCount: slots, bytesOfToken: { model.tokenizer.bytes(of: $0) })
    var answers = [Answer?](repeating: nil, count: evaluationSet.count)
    var (submitted, done) = (0, 0)
    while done < evaluationSet.count {
      while submitted < evaluationSet.count, engine.freeSlotCount > 0 {
        try engine.submit(request(evaluationSet, submitted))
        submitted += 1
      }
      for completion in engine.step() {
        let index = Int(completion.request)
        answers[index] = evaluationSet.answer(
          index, text: model.tokenizer.decode(completion.tokens, skipSpecial: true),
          tokenCount: completion.tokens.count, finish: completion.finish)
        done += 1
        progress(done)
      }
    }
    return answers.compactMap { $0 }
  }

  private func request(_ evaluationSet: EvaluationSet, _ index: Int) throws -> GenerationRequest {
    let prompt = evaluationSet.prompt(index)
    let encoded = try processor.encode(prompt.messages, images: prompt.images, place: "held-out prompt \(prompt.id)")
    return GenerationRequest(
      id: UInt64(index), promptTokens: encoded.tokens,
      key: SampleKey(seed: evaluationSet.seed, step: 0, prompt: prompt.id, sample: 0), sampleCount: 1,
      sampling: evaluationSet.sampling,
      stopTokens: model.stopTokens, stopStrings: evaluationSet.stopStrings, images: encoded.images)
  }
}
