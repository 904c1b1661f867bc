import Architecture
import Layers
import Support
import Tensor
import Testing
import Training

/// Gradient checkpointing saves memory and changes nothing else.
@Suite struct GradientCheckpointingTests {
  @Test(
    "Gradients are the same bytes with and without checkpointing", arguments: TinyModel.allCases, Precision.allCases)
  func gradientsAreTheSameBytesWithAndWithoutCheckpointing(_ tiny: TinyModel, _ precision: Precision) throws {
    func gradients(checkpointing: Bool) throws -> [UInt32] {
      let model = TrainingModel(
        config: tiny.config, parameters: try tiny.parameters(), precision: precision, pool: ThreadPool(threads: 2),
        checkpointing: checkpointing)
      // Batches of several sizes: the tape is used again, larger and smaller.
      for lengths in [[3, 9], [20, 1, 17], [2]] {
        model.accumulateGradients(groups(lengths, vocabularySize: tiny.config.vocabularySize), temperature: 0.9) {
          scores in
          scores.map { $0.map { $0.logProbabilities.indices.map { Float($0 % 5) - 1.5 } } }
        }
      }
      return model.gradients.values.elements.map(\.bitPattern)
    }
    let kept = try gradients(checkpointing: false)
    #expect(try gradients(checkpointing: true) == kept)
    #expect(kept.contains { $0 != 0 })
  }

  private func groups(_ lengths: [Int], vocabularySize: Int) -> [TrainingGroup] {
    var random = RandomStream(seed: 11, purpose: .test, UInt32(lengths.count))
    func tokens(_ count: Int) -> [Int32] {
      (0..<count).map { _ in Int32(random.integer(below: UInt64(vocabularySize))) }
    }
    return [TrainingGroup(promptTokens: tokens(18), completions: lengths.map(tokens))]
      + lengths.map { TrainingGroup(promptTokens: tokens($0), completions: [tokens(5), tokens(2)]) }
  }
}
