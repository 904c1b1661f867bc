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
    let queries = config.headCount * config.headSize
    // Each token and layer: the residual stream twice in fp32; queries, keys, values, attention, gate and up in bf16.
    let unit = settings.model.precision == .bfloat16 ? 2 : 4
    let activations =
      config.layerCount
      * (8 * config.hiddenSize + unit * (2 * queries + 2 * keyValues + 2 * config.feedForwardSize))
    // fp32 master weights, gradients and two moments; packed weights for both directions, and two payloads to send.
    let reference = settings.algorithm.loss.klCoefficient > 0 ? unit : 0
    learner = scalars * (4 * 4 + 4 * unit + reference) + settings.optimizer.microBatchTokens * activations
    // Packed weights; and keys and values, or before there are any the first payload, as large again.
    let positions = min(config.maxPositions, 512 + settings.rollout.sampling.maxNewTokens)
    let cache = settings.rollout.slots * positions * config.layerCount * 2 * keyValues * unit
    worker = scalars * unit + max(scalars * unit, cache)
  }

  /// 1.5 GiB.
  static func text(_ byteCount: Int) -> String {
    let tenths = (byteCount * 10 + (1 << 29)) >> 30
    return tenths < 10 ? "\(max(1, byteCount >> 20)) MiB" : "\(tenths / 10).\(tenths % 10) GiB"
  }
}
