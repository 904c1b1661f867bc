import Architecture
import CLinux
import Engine
import Layers
import Model
import ModelFiles
import Processors
import Support
import Synchronization
import Tasks
import Tensor
import Tokenizers
import Wire

extension GenerationEngine: SampleGenerator {}

extension GroupSampler<GenerationEngine> {
  /// The sampler of a policy as its folder describes it, with the tasks' own scores.
  /// - Parameter place: names the policy in errors.
  package init(_ engine: GenerationEngine, _ description: ModelDescription, place: String) throws {
    let tokenizer = description.tokenizer
    let processor = try PromptProcessor(description, place: place)
    let text = PolicyText(
      encode: { try processor.encode($0, images: $1, place: "prompt") },
      decode: { tokenizer.decode($0, skipSpecial: true) },
      stopTokens: description.stopTokens, maxPositions: description.config.maxPositions)
    self.init(generator: engine, text: text) { text, specification in
      let score = Scorer.score(text: text, specification)
      return RolloutScore(reward: score.reward, accuracy: score.accuracy, format: score.format)
    }
  }
}

/// The decoding thread's own: the policy that is held, its engine, and the groups being sampled.
///
/// Made and used on that one thread; it hears from the event loop through `commands` and answers through `outcomes`. Until
/// the first weights arrive there is no model: configuration and tokenizer come with their manifest.
struct PolicyEngine {
  enum Command: Sendable {
    /// Nothing is being decoded when a version comes; a base model may come at any time.
    case load(FetchedWeights)
    case generate(Lease)
    case cancel(LeaseID)
    case shrink(LeaseID, survivorsMin: Int)
  }

  enum Outcome: Sendable {
    case event(RolloutState.Event)
    /// The version is in the decoder, and may be read back until the next one is loaded; or the base model is kept.
    case loaded(any HeldWeights)
  }

  private struct Policy {
    let decoder: Decoder
    let engine: GenerationEngine
    var sampler: GroupSampler<GenerationEngine>
  }

  private let pool: ThreadPool
  private let slots: Int
  private var policy: Policy?
  /// What versions are added to, where they are adapters.
  private var adapted: AdaptedPolicy?

  /// The body of the thread: ends when `commands` is closed.
  /// - Parameter tokensSampled: where the event loop reads the count of tokens since the start.
  static func run(
    threads: Int, slots: Int, commands: Mailbox<Command>, outcomes: Mailbox<Outcome>,
    tokensSampled: TokenCounter
  ) {
    var engine = PolicyEngine(pool: ThreadPool(threads: threads), slots: slots)
    while !commands.isClosed {
      guard let batch = engine.isIdle ? commands.wait() : commands.take() else { return }
      for command in batch { engine.perform(command).map(outcomes.post) }
      for event in engine.step() { outcomes.post(.event(event)) }
      tokensSampled.value.store(engine.tokensSampled, ordering: .relaxed)
    }
  }

  private init(pool: ThreadPool, slots: Int) {
    self.pool = pool
    self.slots = slots
  }

  private var isIdle: Bool { policy?.sampler.isIdle ?? true }
  private var tokensSampled: UInt64 { policy?.engine.tokensSampled ?? 0 }

  private mutating func step() -> [RolloutState.Event] { isIdle ? [] : policy?.sampler.step() ?? [] }

  private mutating func perform(_ command: Command) -> Outcome? {
    switch command {
    case .load(let fetched):
      do {
        return .loaded(try fetched.manifest.part == .baseModel ? keep(fetched) : load(fetched))
      } catch {
        return .event(.policyFailed("\(error)"))
      }
    case .generate(let lease):
      do {
        try policy?.sampler.start(lease)
        return nil
      } catch {
        return .event(.leaseImpossible(lease.id, reason: "\(error)"))
      }
    case .cancel(let id):
      policy?.sampler.cancel(id)
      return nil
    case .shrink(let id, let survivorsMin):
      return policy?.sampler.shrink(id, survivorsMin: survivorsMin).map { .event($0) }
    }
  }

  /// Keeps a base model, and makes the decoder for what will be added to it.
  /// - Throws: `InputError` when it is no model, or there is one already.
  private mutating func keep(_ fetched: FetchedWeights) throws -> any HeldWeights {
    guard policy == nil else {
      throw InputError(
        "load weights", at: "base model \(String(fetched.manifest.payloadHash, radix: 16))",
        expected: "the model that this worker began with", found: "another one")
    }
    let base = fetched.payload()
    let policy = try makePolicy(base.manifest)
    let adapted = AdaptedPolicy(base)
    adapted.load(into: policy.decoder)
    (self.policy, self.adapted) = (policy, adapted)
    fovea_release_free_memory()
    return base
  }

  /// Puts a version into the decoder; the first one makes the decoder, unless a base model has.
  /// - Returns: the version as it came: read back from the decoder, or a copy where the decoder rounds it or adds to it.
  /// - Throws: `InputError` when the version is no model, or another one than before.
  private mutating func load(_ fetched: FetchedWeights) throws -> any HeldWeights {
    let manifest = fetched.manifest
    var policy = try policy ?? makePolicy(manifest)
    let held: any HeldWeights
    if let adapted {
      let copy = fetched.payload()
      try adapted.load(copy, into: policy.decoder)
      held = copy
    } else {
      held = try load(all: fetched, into: policy.decoder)
    }
    policy.sampler.use(manifest.version)
    self.policy = policy
    // What travelled is free again; the allocator would keep it.
    fovea_release_free_memory()
    return held
  }

  private func load(all fetched: FetchedWeights, into decoder: Decoder) throws -> any HeldWeights {
    let manifest = fetched.manifest
    try manifest.check(against: decoder.config.parameters)
    var loader = PolicyLoader(manifest: manifest, decoder: decoder)
    if HeldPolicy.isExact(manifest, in: decoder.weights) {
      fetched.consume { loader.load($0, $1) }
      return loader.finished()
    }
    let copy = fetched.payload()
    for index in 0..<manifest.chunkCount { loader.load(manifest.range(ofChunk: index), copy.chunk(index)) }
    return copy
  }

  private func makePolicy(_ manifest: WeightsManifest) throws -> Policy {
    let description = try ModelDescription(files: manifest.files, place: "weights of \(manifest.version)")
    try manifest.check(against: description.config.parameters)
    // The learner's precision shows in what it sends: bf16 matrices, or fp32 throughout.
    let precision: Precision = manifest.tensors.allSatisfy { $0.encoding == .float32 } ? .float32 : .bfloat16
    try description.config.check(rollout: manifest.rolloutPrecision, at: "weights of \(manifest.version)")
    let decoder = Decoder(
      config: description.config, precision: precision, rollout: manifest.rolloutPrecision, pool: pool)
    let tokenizer = description.tokenizer
    let engine = GenerationEngine(decoder: decoder, slotCount: slots) { tokenizer.bytes(of: $0) }
    let sampler = try GroupSampler(engine, description, place: "weights of \(manifest.version)")
    return Policy(decoder: decoder, engine: engine, sampler: sampler)
  }
}

/// A count that the decoding thread writes and the event loop reads.
final class TokenCounter: Sendable {
  let value = Atomic<UInt64>(0)
}
