import Architecture
import Layers
import Support
import Tensor

/// A and B of every adapted layer in fp32, and the one routine that adds s B A to a layer's weights.
///
/// Learner, workers and readers of checkpoints all call that routine, on base weights of equal bits, so they compute
/// with equal weights. Every element is one sequential sum of fused multiply-adds over the rank that starts at the
/// base's own value: the same bits for any number of threads and any instruction set.
public final class LowRankAdapter: Sendable {
  public let description: AdapterDescription
  /// The adapted parameters W, `[out, in]`, in the canonical order.
  public let weights: [ParameterShape]
  /// A `[rank, in]` and B `[out, rank]` of each in turn.
  public let parameters: ParameterSet
  private let indexOfWeight: [String: Int]

  /// An adapter of zeros.
  ///
  /// - Parameter place: names the adapter in errors.
  /// - Throws: `InputError` for a rank that a layer cannot have, and a layer that the model does not have.
  public init(_ description: AdapterDescription, config: ModelConfig, place: String) throws {
    let shapes = try description.shapes(in: config, place: place)
    self.description = description
    weights = shapes.weights
    parameters = ParameterSet(parameters: shapes.adapter)
    indexOfWeight = Dictionary(uniqueKeysWithValues: shapes.weights.enumerated().map { ($1.name, $0) })
  }

  /// The start of training: A uniform in 1/sqrt(in) around 0, B zero, so that the model is the base's at first.
  ///
  /// Source: PEFT's `reset_lora_parameters`, `kaiming_uniform_` with a of sqrt(5). Each A has a stream of its own.
  public static func random(
    _ description: AdapterDescription, config: ModelConfig, seed: UInt64, place: String
  ) throws -> LowRankAdapter {
    let adapter = try LowRankAdapter(description, config: config, place: place)
    for (index, weight) in adapter.weights.enumerated() {
      let bound = Float(1 / Double(weight.depth).squareRoot())
      var stream = RandomStream(seed: seed, purpose: .adapter, UInt32(index))
      let a = adapter.a(index)
      for scalar in a.indices { a[scalar] = bound * (2 * stream.uniform() - 1) }
    }
    return adapter
  }

  /// Which adapted parameter one is, or nil when it is not adapted.
  package func index(ofWeight name: String) -> Int? { indexOfWeight[name] }

  package func a(_ index: Int) -> UnsafeMutableBufferPointer<Float> { parameters.scalars(2 * index) }
  package func b(_ index: Int) -> UnsafeMutableBufferPointer<Float> { parameters.scalars(2 * index + 1) }

  /// Rounds the base's adapted matrices to the precision that the adapter is added to, in place.
  public func round(_ base: ParameterSet) {
    guard description.basePrecision == .bfloat16 else { return }
    for weight in weights {
      let scalars = base[weight.name]
      for i in scalars.indices { scalars[i] = Float(bitPattern: UInt32(scalars[i].bfloat16Bits) << 16) }
    }
  }

  /// Adds s B A to every adapted matrix of a base, in place.
  public func merge(into base: ParameterSet, pool: ThreadPool) {
    round(base)
    var merging = AdapterMerging(self, pool: pool)
    for (index, weight) in weights.enumerated() { merging.add(index, to: base[weight.name].baseAddress!) }
  }
}

/// `LowRankAdapter`'s sum, with its scratch space. One owner, one call at a time.
package struct AdapterMerging: ~Copyable {
  package let adapter: LowRankAdapter
  private let pool: ThreadPool
  private var scaled = ScratchBuffer<Float>()
  private var transposed: TransposedWeights

  package init(_ adapter: LowRankAdapter, pool: ThreadPool) {
    self.adapter = adapter
    self.pool = pool
    transposed = TransposedWeights(.float32, pool: pool)
  }

  /// `w[out, in] += (s B) A` of adapted parameter `index`; `w` is the base's, rounded as the description says.
  package mutating func add(_ index: Int, to w: UnsafeMutablePointer<Float>) {
    let weight = adapter.weights[index]
    let (a, b) = (adapter.a(index), adapter.b(index))
    let scale = adapter.description.scale
    let scaled = scaled.reserve(b.count)
    for i in b.indices { scaled[i] = scale * b[i] }
    transposed.pack([(UnsafePointer(a.baseAddress!), adapter.description.rank)], depth: weight.depth).multiply(
      UnsafeRawPointer(scaled).assumingMemoryBound(to: UInt32.self), count: weight.rows, into: w, accumulates: true)
  }
}

extension Decoder {
  /// Packs every matrix that an adapter changes.
  /// - Parameter base: writes the base's parameter `index` of `config.parameters` as fp32, rounded as the description
  ///   says.
  package func load(_ adapter: LowRankAdapter, base: (_ index: Int, _ w: UnsafeMutablePointer<Float>) -> Void) {
    var merging = AdapterMerging(adapter, pool: pool)
    var merged = ScratchBuffer<Float>()
    for (index, parameter) in weights.parameters.enumerated() {
      guard let adapted = adapter.index(ofWeight: parameter.name) else { continue }
      let w = merged.reserve(parameter.count)
      base(index, w)
      merging.add(adapted, to: w)
      load(parameter: index, float32: w)
    }
  }
}
