import Architecture
import CLinux
import Engine
import Layers
import Model
import ModelFiles
import Support
import Tensor
import Tokenizers
import Wire

/// This program's own engine: the decoder with the learner's arithmetic, on this machine's processor.
///
/// Until the first weights arrive there is no model: configuration and tokenizer come with their manifest. A worker's
/// weights are in its memory once, packed (`HeldPolicy`), or next to their base model where versions are adapters
/// (`AdaptedPolicy`).
public final class NativeRolloutEngine: RolloutEngine {
  private struct Policy {
    let decoder: Decoder
    let generation: GenerationEngine
    let text: PolicyText
  }

  private let pool: ThreadPool
  private let slots: Int
  private var policy: Policy?
  /// What versions are added to, where they are adapters.
  private var adapted: AdaptedPolicy?

  /// An engine without a policy.
  /// - Parameters:
  ///   - threads: kernel threads, at least 1.
  ///   - slots: samples decoded at once, at least 1.
  public init(threads: Int, slots: Int) {
    pool = ThreadPool(threads: threads)
    self.slots = slots
  }

  /// An engine of a policy that is in memory already; nothing is loaded into it.
  /// - Parameter place: names the policy in errors.
  package init(_ decoder: Decoder, _ description: ModelDescription, slots: Int, place: String) throws {
    pool = decoder.pool
    self.slots = slots
    policy = try Self.policy(decoder, description, slots: slots, place: place)
  }

  public var abilities: RolloutEngineAbilities {
    RolloutEngineAbilities(isExact: true, hasImages: true, hasAdapters: true)
  }

  public var text: PolicyText? { policy?.text }
  public var isIdle: Bool { policy?.generation.isIdle ?? true }
  public var tokensSampled: UInt64 { policy?.generation.tokensSampled ?? 0 }

  // MARK: Sampling

  public func submit(_ request: GenerationRequest) throws {
    guard let policy else { preconditionFailure("request \(request.id) before any policy was loaded") }
    try policy.generation.submit(request)
  }

  public func cancel(request: UInt64) { policy?.generation.cancel(request: request) }

  public func step() -> [Completion] { policy?.generation.step() ?? [] }

  // MARK: Loading

  public func load(_ weights: FetchedWeights) throws -> any HeldWeights {
    precondition(isIdle, "weights of \(weights.manifest.version) are loaded while samples are decoded")
    // What travelled is free again afterwards; the allocator would keep it.
    defer { fovea_release_free_memory() }
    return weights.manifest.part == .baseModel ? try keep(weights) : try load(version: weights)
  }

  /// Keeps a base model, and makes the decoder for what will be added to it.
  private func keep(_ fetched: FetchedWeights) throws -> any HeldWeights {
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
    return base
  }

  /// Puts a version into the decoder; the first one makes the decoder, unless a base model has.
  /// - Returns: read back from the decoder, or a copy where the decoder rounds it or adds to it.
  private func load(version fetched: FetchedWeights) throws -> any HeldWeights {
    let policy = try policy ?? makePolicy(fetched.manifest)
    let held: any HeldWeights
    if let adapted {
      let copy = fetched.payload()
      try adapted.load(copy, into: policy.decoder)
      held = copy
    } else {
      held = try load(all: fetched, into: policy.decoder)
    }
    self.policy = policy
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
    let place = "weights of \(manifest.version)"
    let description = try ModelDescription(files: manifest.files, place: place)
    try manifest.check(against: description.config.parameters)
    // The learner's precision shows in what it sends: bf16 matrices, or fp32 throughout.
    let precision: Precision = manifest.tensors.allSatisfy { $0.encoding == .float32 } ? .float32 : .bfloat16
    try description.config.check(rollout: manifest.rolloutPrecision, at: place)
    let decoder = Decoder(
      config: description.config, precision: precision, rollout: manifest.rolloutPrecision, pool: pool)
    return try Self.policy(decoder, description, slots: slots, place: place)
  }

  private static func policy(
    _ decoder: Decoder, _ description: ModelDescription, slots: Int, place: String
  ) throws -> Policy {
    let tokenizer = description.tokenizer
    return Policy(
      decoder: decoder,
      generation: GenerationEngine(decoder: decoder, slotCount: slots) { tokenizer.bytes(of: $0) },
      text: try PolicyText(description, place: place))
  }
}
