import Core
import Settings

/// Roughly how much memory the processes of a run take, so that `--dry-run` shows a run that cannot fit before it starts.
///
/// Counted: weights, gradients, moments, the payloads of the broadcast, activations of one micro-batch, keys and values.
struct MemoryEstimate {
  /// Bytes.
  var learner: Int
  /// Bytes, each.
  var worker: Int

  init(config: ModelConfig, settings: RunSettings) {
    let scalars = config.parameters.reduce(0) { $0 + $1.count }
    let keyValues = config.keyValueHeadCount * config.headSize
    // fp32 for each token and layer: residual stream, norms, queries, attention, and the three products of the
    // feed-forward block.
    let activations = 4 * config.layerCount * (6 * config.hiddenSize + 2 * keyValues + 3 * config.feedForwardSize)
    // Master weights, gradients, two moments in fp32; bf16 weights packed, and as payload.
    let reference = settings.algorithm.loss.klCoefficient > 0 ? 2 : 0
    learner = scalars * (4 * 4 + 2 + 2 + reference) + settings.optimizer.microBatchTokens * activations
    // bf16 weights packed, and two payloads while a new version comes in.
    let positions = min(config.maxPositions, 512 + settings.rollout.sampling.maxNewTokens)
    worker = scalars * (2 + 2 + 2) + settings.rollout.slots * positions * config.layerCount * 2 * keyValues * 2
  }

  /// 1.5 GiB.
  static func text(_ byteCount: Int) -> String {
    let tenths = (byteCount * 10 + (1 << 29)) >> 30
    return tenths < 10 ? "\(max(1, byteCount >> 20)) MiB" : "\(tenths / 10).\(tenths % 10) GiB"
  }
}
