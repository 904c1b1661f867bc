import Architecture
import Support
import Tensor
import Training

/// A small random model for tests: grouped-query attention, head norms and biases on, sizes that are no multiples of
/// 16.
public enum SmallModel {
  /// 2 layers of width 40.
  public static let config = ModelConfig(
    vocabularySize: 131, hiddenSize: 40, feedForwardSize: 72, layerCount: 2, headCount: 6, keyValueHeadCount: 2,
    headSize: 20, maxPositions: 256, tiedHead: true,
    block: BlockDescription(
      attention: .init(queryKeyValueBias: true, outputBias: true, queryKeyNorm: .eachHead),
      feedForward: .init(bias: true)))

  /// Random weights, norms near one.
  public static func parameters(config: ModelConfig = config, seed: UInt64) -> ParameterSet {
    let set = ParameterSet(config: config)
    for index in set.parameters.indices {
      var random = RandomStream(seed: seed, purpose: .initialization, UInt32(index))
      let isNorm = set.parameters[index].name.contains("norm")
      let scalars = set.scalars(index)
      for i in scalars.indices {
        let normal = (random.uniform() + random.uniform() + random.uniform() + random.uniform() - 2) * 1.7
        scalars[i] = isNorm ? 1 + 0.1 * normal : 0.15 * normal
      }
    }
    return set
  }

  /// Groups of one prompt (3 to 40 tokens) and three completions (1 to 30 tokens) each.
  public static func groups(config: ModelConfig = config, count: Int = 3, seed: UInt64) -> [TrainingGroup] {
    var random = RandomStream(seed: seed, purpose: .test)
    func tokens(_ count: Int) -> [Int32] {
      (0..<count).map { _ in Int32(random.integer(below: UInt64(config.vocabularySize))) }
    }
    return (0..<count).map { index in
      TrainingGroup(
        promptTokens: tokens(3 + 37 * index / max(1, count - 1)), completions: [1, 7, 30].map { tokens($0) })
    }
  }
}
