import Architecture
import CKernels
import Glibc
import Layers
import Model
import Tensor

/// One prompt and its completions; the learner computes the prompt once for all completions.
public struct TrainingGroup: Equatable, Sendable {
  public var promptTokens: [Int32]
  /// Each at least one token.
  public var completions: [[Int32]]
  /// The prompt's images, in the order of their tokens; `ModelConfig.checkImages` says what fits.
  public var images: [ImageTensor]

  public init(promptTokens: [Int32], completions: [[Int32]], images: [ImageTensor] = []) {
    self.promptTokens = promptTokens
    self.completions = completions
    self.images = images
  }
}

/// Scores of one completion's tokens under the policy: of the full softmax at the requested temperature, in nats.
public struct SequenceScores: Equatable, Sendable {
  /// log pi of each token, `[T]`
  public var logProbabilities: [Float]
  /// Entropy of the distribution that each token was sampled from, `[T]`
  public var entropies: [Float]

  public init(logProbabilities: [Float], entropies: [Float]) {
    self.logProbabilities = logProbabilities
    self.entropies = entropies
  }
}

/// The learner's policy: fp32 master weights, a packed `Decoder` of them, and gradients. With an adapter, only it is
/// trained: the master weights are its own, added to those of a frozen base.
///
/// Scores come from the same forward pass as the worker's. No logits are computed for prompt tokens, and
/// `VocabularyLoss` bounds those that exist at once. Gradients do not depend on the number of threads. Not thread-safe:
/// one owner.
public final class TrainingModel {
  public let config: ModelConfig
  /// The fp32 master weights; call `weightsChanged` after writing them. A frozen model releases them once they are
  /// packed.
  public let parameters: ParameterSet
  /// Sums of `accumulateGradients`; the owner clears them.
  public let gradients: ParameterSet
  package let decoder: Decoder
  private let pool: ThreadPool
  private var cache: KeyValueCache?
  private var tape: Tape?
  private var head: VocabularyLoss
  private var backward: DecoderBackward?
  private let checkpointing: Bool
  private let headName: String
  private let weights: EffectiveWeights?

  /// - Parameters:
  ///   - parameters: fp32 master weights, shared with the optimizer; with an adapter those of its base, as it has
  ///     rounded them.
  ///   - adapter: trained instead of the weights themselves.
  ///   - trainable: false for a frozen reference, which keeps no gradients.
  ///   - selection: the parameters that training changes; the gradients of the others stay zero.
  ///   - checkpointing: keeps only each layer's input for the backward pass, which computes the rest again: less
  ///     memory, more time, the same bits.
  public init(
    config: ModelConfig, parameters: ParameterSet, adapter: LowRankAdapter? = nil, precision: Precision,
    pool: ThreadPool, trainable: Bool = true,
    selection: TrainableParameters = .all, checkpointing: Bool = false
  ) {
    self.config = config
    self.checkpointing = checkpointing
    let weights = EffectiveWeights(parameters, adapter: adapter, pool: pool)
    self.weights = trainable ? weights : nil
    self.parameters = trainable ? weights.trained : ParameterSet(parameters: [])
    self.pool = pool
    gradients = ParameterSet(parameters: self.parameters.parameters)
    decoder = Decoder(config: config, precision: precision, pool: pool)
    head = VocabularyLoss(decoder: decoder)
    headName = config.tiedHead ? "model.embed_tokens.weight" : "lm_head.weight"
    if trainable {
      backward = DecoderBackward(decoder: decoder, weights: weights, gradients: gradients, trainable: selection)
    }
    weights.load(into: decoder)
  }

  /// Packs the master weights again, after an update.
  public func weightsChanged() { weights?.loadChanged(into: decoder) }

  /// Forward only: scores of every completion, `[group][completion]`.
  public func score(_ groups: [TrainingGroup], temperature: Float) -> [[SequenceScores]] {
    let packed = pack(groups)
    let states = decoder.forward(packed.rows, cache: cache(blocks: packed.blockCount))
    return packed.unflatten(
      head.score(states, targets: packed.targets, temperature: temperature))
  }

  /// Forward, then `coefficients` (dLoss/dlog pi of every token, `[group][completion][T]`, from the scores), then
  /// backward: adds dLoss/dparameter to `gradients`. Returns the scores.
  @discardableResult
  public func accumulateGradients(
    _ groups: [TrainingGroup], temperature: Float, coefficients: ([[SequenceScores]]) throws -> [[[Float]]]
  ) rethrows -> [[SequenceScores]] {
    guard let backward, let weights else { preconditionFailure("a frozen model has no gradients") }
    let packed = pack(groups)
    let tape = tape(rows: packed.rows.count, outputs: packed.targets.count)
    let cache = cache(blocks: packed.blockCount)
    let states = decoder.forward(packed.rows, cache: cache, tape: tape)
    let flat = head.score(states, targets: packed.targets, temperature: temperature)
    let scores = packed.unflatten(flat)
    let slopes = try coefficients(scores).flatMap { $0.flatMap { $0 } }
    precondition(slopes.count == packed.targets.count, "one coefficient per completion token is needed")
    let dstates = head.backward(
      states, targets: packed.targets, scores: flat, coefficients: slopes, temperature: temperature,
      weights: weights.scalars(of: [headName])[0], headGradient: backward.gradient(headName))
    backward.run(packed, tape: tape, cache: cache, dstates: dstates)
    return scores
  }

  private func cache(blocks: Int) -> KeyValueCache {
    if let cache, cache.blockCount >= blocks { return cache }
    let made = KeyValueCache(config: config, precision: decoder.precision, layerCount: 1, blockCount: blocks)
    cache = made
    return made
  }

  /// A tape with room for some more, which takes no memory until it is used.
  private func tape(rows: Int, outputs: Int) -> Tape {
    if let tape, tape.rowCapacity >= rows, tape.outputCapacity >= outputs { return tape }
    tape = nil
    let made = Tape(
      config: config, precision: decoder.precision, rows: rows + rows / 8, outputs: outputs + outputs / 8,
      checkpointing: checkpointing)
    tape = made
    return made
  }

  private func pack(_ groups: [TrainingGroup]) -> PackedGroups {
    PackedGroups(groups, config: config)
  }
}
