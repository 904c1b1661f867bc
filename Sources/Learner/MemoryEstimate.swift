import Architecture
import Prompts
import Reinforcement
import Settings
import Tensor

/// Roughly how much memory the processes of a run take, so that `--dry-run` shows a run that cannot fit before it
/// starts.
///
/// Counted: weights, gradients, moments, the payloads of the broadcast, activations of one micro-batch, keys and
/// values, and what a process takes without a model.
public struct MemoryEstimate: Equatable, Sendable {
  /// The program, its libraries, the tokenizer, stacks and buffers of messages. Measured: 36 to 50 MiB, whatever the
  /// size of the model.
  private static let processByteCount = 40 << 20

  /// Bytes of the learner, or of the one process of a stage.
  public var learner: Int
  /// Bytes of each worker.
  public var worker: Int
  /// The number of scalars that training changes.
  public var trainedCount: Int

  /// - Parameters:
  ///   - parts: what training changes.
  ///   - adapter: trained instead of their weights.
  public init(config: ModelConfig, settings: RunSettings, training parts: [ModelPart], adapter: AdapterDescription?) {
    let scalars = config.parameters.reduce(0) { $0 + $1.count }
    let keyValues = config.keyValueHeadCount * config.headSize
    let queries = config.headCount * config.headSize
    // Each token and layer: the residual stream twice in fp32; queries, keys, values, attention, gate and up in bf16.
    // With checkpointing that of one layer, and every layer's input.
    let unit = settings.model.precision == .bfloat16 ? 2 : 4
    let input = 4 * config.hiddenSize
    let layer = 2 * input + unit * (2 * queries + 2 * keyValues + 2 * config.feedForwardSize)
    let isCheckpointed = settings.optimizer.gradientCheckpointing
    let activations = isCheckpointed ? config.layerCount * input + layer : config.layerCount * layer
    // The scratch space of a layer, forward and backward, in fp32 and in units, and of the vocabulary's slices.
    let scratch = 5 * input + 30 * config.feedForwardSize
    // A slice of the logits in fp32, and its gradient; a small vocabulary does not fill the largest slice.
    let logits = min(
      64 << 20, settings.optimizer.microBatchTokens * max(64, config.vocabularySize) * (4 + unit))
    // fp32 master weights and gradients, two moments; packed weights, and the payload of the version before the newest.
    let moments = settings.optimizer.moments == .bfloat16 ? 2 : 4
    let names = Set(adapter?.names ?? [])
    let trained =
      adapter.map { adapter in
        config.parameters.filter { names.contains($0.name) }.reduce(0) { $0 + adapter.rank * ($1.rows + $1.depth) }
      } ?? TrainableParameters(parts).parameters(of: config.parameters).reduce(0) { $0 + $1.count }
    trainedCount = trained
    let reference = settings.algorithm.loss.klCoefficient > 0 ? unit : 0
    // An adapter's base has neither gradients nor a payload of the version before.
    let perScalar = adapter == nil ? 2 * 4 + 2 * unit : 4 + unit
    let perTrained = adapter == nil ? 2 * moments : 3 * 4 + 2 * moments
    learner =
      Self.processByteCount + scalars * (perScalar + reference) + trained * perTrained + logits
      + settings.optimizer.microBatchTokens * (activations + scratch)
    // Packed weights; and keys and values, or before there are any the first payload, as large again.
    let positions = min(config.maxPositions, 512 + settings.rollout.sampling.maxNewTokens)
    let cache = settings.rollout.slots * positions * config.layerCount * 2 * keyValues * unit
    // int8 weights come on top of the exact embedding, and of the payload, which cannot be read back from them.
    let quantized =
      settings.rollout.precision == .int8 ? scalars + config.vocabularySize * config.hiddenSize * unit : 0
    // The base that adapters are added to stays next to them.
    let base = adapter == nil ? 0 : scalars * unit
    worker = Self.processByteCount + quantized + base + scalars * unit + max(scalars * unit, cache)
  }
}
