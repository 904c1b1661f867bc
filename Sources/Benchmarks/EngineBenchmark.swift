import Architecture
import Engine
import Layers
import Model
import Prompts
import Support
import Tensor
import Training

/// `fovea bench engine`: rollouts, prefill, learner steps, whole steps and weight packing of one model, as rates and as
/// shares of the peak that the same run measured.
///
/// Operations are counted from the shapes: 2 for each weight of a product and row, and attention's products; sampling
/// is part of the time and adds none. Weights and prompts do not matter to the time, so random tokens do.
public struct EngineBenchmark {
  /// One measured line.
  public struct Row: Sendable {
    public var name: String
    /// Tokens that the line counts, and the seconds that they took.
    public var tokens: Int
    public var seconds: Double
    /// Operations of products, of floating-point numbers or integers.
    public var operations: Double
    /// Threads that it ran on; nil for all of the pool's.
    public var threads: Int?
    /// The most that was resident during the line, weights of the benchmark itself included; where it was measured.
    public var peakByteCount: Int?
    /// The arithmetic of the products, whose peak the operations are compared with.
    public var arithmetic = RolloutPrecision.exact
    /// Bytes of weights that the line read from memory, where that is what bounds it.
    public var weightBytes: Double?
    public var tokensPerSecond: Double { Double(tokens) / seconds }
    public var gigaflops: Double { operations / seconds / 1e9 }
    public var gigabytesPerSecond: Double? { weightBytes.map { $0 / seconds / 1e9 } }
  }

  private let config: ModelConfig
  private let parameters: ParameterSet
  private let precision: Precision
  private let pool: ThreadPool

  public init(config: ModelConfig, parameters: ParameterSet, precision: Precision, pool: ThreadPool) {
    self.config = config
    self.parameters = parameters
    self.precision = precision
    self.pool = pool
  }

  // MARK: Rollouts

  /// A decoder with the model's weights, and the line of packing them.
  public func decoder(_ arithmetic: RolloutPrecision = .exact) -> (Decoder, Row) {
    let decoder = Decoder(config: config, precision: precision, rollout: arithmetic, pool: pool)
    let watch = Stopwatch()
    decoder.load(parameters)
    let count = config.parameters.reduce(0) { $0 + $1.count }
    return (
      decoder,
      Row(name: prefix(arithmetic) + "pack weights (weights/s)", tokens: count, seconds: watch.seconds, operations: 0)
    )
  }

  /// An engine for `rollout`, whose cache and scratch space warm up as it is used.
  public func engine(_ decoder: Decoder, slots: Int, positions: Int) -> GenerationEngine {
    GenerationEngine(decoder: decoder, slotCount: slots, positions: positions, bytesOfToken: { _ in [] })
  }

  /// Prefill of `batch` prompts, then decoding of `batch` sequences with sampling: two lines. Done twice, timed once.
  /// - Parameter arithmetic: of the engine's decoder.
  public func rollout(
    _ engine: GenerationEngine, _ arithmetic: RolloutPrecision = .exact, batch: Int, prompt: Int, tokens: Int
  ) throws -> [Row] {
    _ = try timedRollout(engine, arithmetic, batch: batch, prompt: prompt, tokens: tokens)
    return try timedRollout(engine, arithmetic, batch: batch, prompt: prompt, tokens: tokens)
  }

  /// Bytes of all matrices, which a decode step reads once.
  private func weightBytes(_ arithmetic: RolloutPrecision) -> Double {
    (layerOperations + headOperations) / 2 * Double(arithmetic == .int8 ? 1 : precision.elementByteCount)
  }

  private func prefix(_ arithmetic: RolloutPrecision) -> String {
    arithmetic == .exact ? "" : "\(arithmetic.rawValue) "
  }

  private func timedRollout(
    _ engine: GenerationEngine, _ arithmetic: RolloutPrecision, batch: Int, prompt: Int, tokens: Int
  ) throws -> [Row] {
    for index in 0..<batch {
      try engine.submit(
        GenerationRequest(
          id: UInt64(index), promptTokens: randomTokens(prompt, index),
          key: SampleKey(seed: 1, step: 0, prompt: UInt64(index), sample: 0), sampleCount: 1,
          sampling: SamplingSettings(maxNewTokens: tokens), stopTokens: []))
    }
    let prefill = Stopwatch()
    _ = engine.step()  // prefill, the first token, and one decode step
    let prefillSeconds = prefill.seconds
    let before = engine.tokensSampled
    let decode = Stopwatch()
    while !engine.isIdle { _ = engine.step() }
    let seconds = decode.seconds
    let decoded = Int(engine.tokensSampled - before)
    // The first step decodes too; however slow the others were, the prefill was half of it at least.
    let stepSeconds = min(seconds / Double(max(1, decoded / batch)), prefillSeconds / 2)
    let attended = (0..<tokens - 2).reduce(0.0) { $0 + Double(prompt + 2 + $1) } * Double(batch)
    return [
      Row(
        name: prefix(arithmetic) + "prefill B=\(batch) x \(prompt)", tokens: batch * prompt,
        seconds: prefillSeconds - stepSeconds,
        operations: Double(batch) * (Double(prompt) * layerOperations + headOperations)
          + attentionOperations * Double(batch) * Double(prompt) * Double(prompt + 1) / 2,
        arithmetic: arithmetic),
      Row(
        name: prefix(arithmetic) + "decode B=\(batch), \(prompt)+\(tokens)", tokens: decoded, seconds: seconds,
        operations: Double(decoded) * (layerOperations + headOperations) + attentionOperations * attended,
        arithmetic: arithmetic, weightBytes: Double(decoded / batch) * weightBytes(arithmetic)),
    ]
  }

  /// The decoder's products alone, as a decode step of `batch` rows makes them: all matrices of all layers and the
  /// head.
  public func products(
    _ decoder: Decoder, _ arithmetic: RolloutPrecision = .exact, batch: Int, threads: ThreadPool
  ) -> Row {
    let widest = max(config.vocabularySize, 2 * config.feedForwardSize, decoder.headsWidth)
    let deepest = max(config.hiddenSize, config.feedForwardSize, decoder.queryWidth)
    let x = AlignedBuffer<UInt32>(count: batch * precision.wordCount(deepest))
    let y = AlignedBuffer<Float>(count: batch * widest)
    let layers = decoder.weights.layers.flatMap { [$0.queryKeyValue, $0.attentionOutput, $0.gateUp, $0.down] }
    func step() {
      for matrix in layers + [decoder.weights.head] {
        matrix.multiply(x.pointer, count: batch, into: y.pointer, pool: threads)
      }
    }
    // The fastest of ten, as the peak is the fastest of five.
    let seconds = (0..<10).map { _ in
      let watch = Stopwatch()
      step()
      return watch.seconds
    }.min()!
    return Row(
      name: prefix(arithmetic) + "products B=\(batch), \(threads.threadCount) threads", tokens: batch, seconds: seconds,
      operations: Double(batch) * (layerOperations + headOperations), threads: threads.threadCount,
      arithmetic: arithmetic, weightBytes: weightBytes(arithmetic))
  }

  // MARK: Learner

  /// One step of a fresh learner, optimizer and packing included: `prompts` prompts of `prompt` tokens with `group`
  /// completions of `completion` tokens each. Counts all completion tokens and every prompt once per completion, as a
  /// padded trainer would. Done twice, timed once.
  public func learner(
    prompts: Int, prompt: Int, group: Int, completion: Int, checkpointing: Bool = false,
    moments: Precision = .float32
  ) -> Row {
    let groups = (0..<prompts).map { index in
      TrainingGroup(
        promptTokens: randomTokens(prompt, 1000 + index),
        completions: (0..<group).map { randomTokens(completion, 2000 + index * group + $0) })
    }
    ProcessMemory.resetPeak()
    let session = LearnerSession(
      config: config, parameters: parameters, precision: precision, pool: pool,
      checkpointing: checkpointing, moments: moments)
    session.step(groups)  // allocates
    let watch = Stopwatch()
    session.step(groups)
    let seconds = watch.seconds
    return Row(
      name: "learner \(prompts) x \(prompt) + \(group) x \(completion)"
        + (moments == .bfloat16 ? ", bf16 moments" : "") + (checkpointing ? ", checkpointing" : ""),
      tokens: prompts * group * (prompt + completion), seconds: seconds,
      operations: learnerOperations(prompts: prompts, prompt: prompt, group: group, completion: completion),
      peakByteCount: ProcessMemory.peakByteCount)
  }

  /// A learner's state for `wholeStep`.
  public func learnerSession() -> LearnerSession {
    LearnerSession(
      config: config, parameters: parameters, precision: precision, pool: pool, checkpointing: false, moments: .float32)
  }

  // MARK: The whole step

  /// One synchronous step: `group` samples of `completion` tokens for each of `prompts` prompts, the learner's step on
  /// them, and the new weights packed for the next rollout. Counts the sampled tokens. Done twice, timed once.
  public func wholeStep(
    _ decoder: Decoder, _ engine: GenerationEngine, _ session: LearnerSession, prompts: Int, prompt: Int, group: Int,
    completion: Int
  ) throws -> Row {
    var seconds = 0.0
    for step: UInt32 in 0..<2 {
      let watch = Stopwatch()
      let promptTokens = (0..<prompts).map { randomTokens(prompt, 3000 + $0) }
      for (index, tokens) in promptTokens.enumerated() {
        try engine.submit(
          GenerationRequest(
            id: UInt64(index), promptTokens: tokens,
            key: SampleKey(seed: 1, step: step, prompt: UInt64(index), sample: 0), sampleCount: group,
            sampling: SamplingSettings(maxNewTokens: completion), stopTokens: []))
      }
      var completions: [Completion] = []
      while !engine.isIdle { completions += engine.step() }
      session.step(
        promptTokens.enumerated().map { index, tokens in
          TrainingGroup(
            promptTokens: tokens, completions: completions.filter { $0.request == UInt64(index) }.map(\.tokens))
        })
      decoder.load(session.parameters)
      seconds = watch.seconds
    }
    let sampled = Double(prompts * group * completion)
    let attended = Double(completion * (2 * prompt + completion)) / 2 * Double(prompts * group)
    return Row(
      name: "step \(prompts) x \(prompt) + \(group) x \(completion)", tokens: prompts * group * completion,
      seconds: seconds,
      operations: Double(prompts * prompt) * layerOperations + sampled * (layerOperations + headOperations)
        + attentionOperations * attended
        + learnerOperations(prompts: prompts, prompt: prompt, group: group, completion: completion))
  }

  public final class LearnerSession {
    private let training: TrainingModel
    private let optimizer: AdamW

    init(
      config: ModelConfig, parameters: ParameterSet, precision: Precision, pool: ThreadPool, checkpointing: Bool,
      moments: Precision
    ) {
      training = TrainingModel(
        config: config, parameters: parameters, precision: precision, pool: pool, checkpointing: checkpointing)
      optimizer = AdamW(parameters: parameters, pool: pool, moments: moments)
    }

    var parameters: ParameterSet { training.parameters }

    func step(_ groups: [TrainingGroup]) {
      training.gradients.values.clear()
      training.accumulateGradients(groups, temperature: 1) { scores in
        let count = Float(scores.reduce(0) { $0 + $1.count })
        return scores.map { group in
          group.enumerated().map { index, score in
            // alternating signs: a loss whose gradient does not vanish
            let length = score.logProbabilities.count
            return Array(repeating: (index % 2 == 0 ? 1 : -1) / (Float(length) * count), count: length)
          }
        }
      }
      let norm = optimizer.globalNorm(training.gradients)
      optimizer.step(
        parameters: training.parameters, gradients: training.gradients, gradientScale: Float(min(1, 1 / norm)),
        learningRate: 1e-7, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0)
      training.weightsChanged()
    }
  }

  // MARK: Counting

  /// Products of all layers for one row.
  private var layerOperations: Double {
    let q = Double(config.headCount * config.headSize)
    let kv = Double(config.keyValueHeadCount * config.headSize)
    let c = Double(config.hiddenSize)
    return 2 * Double(config.layerCount) * (c * (q + 2 * kv) + q * c + 3 * c * Double(config.feedForwardSize))
  }

  /// Forward once and backward twice; the head's forward a second time in the backward pass.
  private func learnerOperations(prompts: Int, prompt: Int, group: Int, completion: Int) -> Double {
    let rows = Double(prompts * prompt + prompts * group * (completion - 1))
    return 3 * rows * layerOperations + 4 * Double(prompts * group * completion) * headOperations
  }

  private var headOperations: Double { 2 * Double(config.hiddenSize * config.vocabularySize) }

  /// Scores and weighted values of one row and one key, all layers.
  private var attentionOperations: Double { 4 * Double(config.layerCount * config.headCount * config.headSize) }

  private func randomTokens(_ count: Int, _ stream: Int) -> [Int32] {
    var random = RandomStream(seed: 7, purpose: .test, UInt32(stream))
    return (0..<count).map { _ in Int32(random.integer(below: UInt64(config.vocabularySize))) }
  }
}
