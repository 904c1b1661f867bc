import Reinforcement
import Testing

/// A shaping as somebody else would add one: it looks at the whole batch, and silences every sample but the longest.
private struct LongestOnly: Shaping {
  var formula: String { "A' = A for the longest sample of the batch, else 0." }

  func shaped(advantage: Float, weight: Float, entropies: [Float]) -> [Float] {
    [Float](repeating: weight > 0 ? advantage : 0, count: entropies.count)
  }

  func shape(_ batch: UnshapedBatch) -> ShapedBatch {
    let longest = batch.entropies.flatMap { $0.map(\.count) }.max() ?? 0
    let weights = batch.entropies.map { $0.map { Float($0.count == longest ? 1 : 0) } }
    let tokens = batch.advantages.indices.map { p in
      batch.advantages[p].indices.map { i in
        shaped(advantage: batch.advantages[p][i], weight: weights[p][i], entropies: batch.entropies[p][i])
      }
    }
    return ShapedBatch(weights: weights, tokens: tokens)
  }
}

@Suite("Shapings")
struct ShapingTests {
  private let batch = UnshapedBatch(
    rewards: [[1, 0], [0, 1]], advantages: [[1, -1], [-0.5, 0.5]],
    entropies: [[[0.5, 0.5], [2]], [[1, 1, 1], [0.25]]], uncertainties: [[0.5, 2], [1, 0.25]], threshold: 1)

  @Test("One that somebody adds in a file of its own may look at the whole batch")
  func addedShaping() {
    let shaped = LongestOnly().shape(batch)
    #expect(shaped.weights == [[0, 0], [1, 0]])
    #expect(shaped.tokens == [[[0, 0], [0]], [[-0.5, -0.5, -0.5], [0]]])
  }

  @Test("By default a batch is shaped sample by sample")
  func sampleBySample() {
    let uadt = UADT(ShapingSettings())
    let shaped = uadt.shape(batch)
    for p in 0..<2 {
      for i in 0..<2 {
        let weight = uadt.weight(uncertainty: batch.uncertainties[p][i], threshold: batch.threshold)
        #expect(shaped.weights[p][i] == weight)
        let advantage = uadt.shaped(advantage: batch.advantages[p][i], weight: weight)
        #expect(shaped.tokens[p][i] == batch.entropies[p][i].map { _ in advantage })
      }
    }
    #expect(shaped.weights[0][1] > 0)
    #expect(shaped.weights[0][0] < 0)
  }

  @Test("Every shaping of the table can be made, explains itself, and has a name of its own")
  func table() {
    let names = ShapingDefinition.all.map(\.name)
    #expect(Set(names).count == names.count)
    #expect(names.contains(ShapingSettings().kind))
    for name in names {
      var settings = ShapingSettings()
      settings.kind = name
      #expect(settings.shaping.formula.contains("A'"), "\(name)")
    }
  }

  @Test("The histogram of omega counts every sample once, its ends included")
  func histogram() {
    let metrics = UADT(ShapingSettings()).metrics(weights: [-1, -0.95, 0, 1])
    #expect(metrics["omega_bin_0"] == 0.5)
    #expect(metrics["omega_bin_5"] == 0.25)
    #expect(metrics["omega_bin_9"] == 0.25)
    #expect(metrics["omega"] == -0.2375)
    let bins = (0..<10).compactMap { metrics["omega_bin_\($0)"] }
    #expect(bins.count == 10)
    #expect(bins.reduce(0, +) == 1)
  }
}
