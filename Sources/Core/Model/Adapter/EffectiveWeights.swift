import Layers
import Tensor

/// The fp32 weights that a learner computes with: the parameters themselves, or a frozen base with an adapter added to
/// it.
///
/// Sums are made where they are asked for and forgotten, so that an adapter costs no second copy of the weights. Not
/// thread-safe: one owner, one call at a time.
package final class EffectiveWeights {
  package let base: ParameterSet
  package let adapter: LowRankAdapter?
  private var merging: AdapterMerging?
  private var merged = ScratchBuffer<Float>()

  /// - Parameter base: rounded by the adapter, if there is one.
  package init(_ base: ParameterSet, adapter: LowRankAdapter?, pool: ThreadPool) {
    self.base = base
    self.adapter = adapter
    merging = adapter.map { AdapterMerging($0, pool: pool) }
  }

  /// What training changes.
  package var trained: ParameterSet { adapter?.parameters ?? base }

  /// The scalars of some parameters, each row-major, until the next call.
  package func scalars(of names: [String]) -> [UnsafePointer<Float>] {
    let adapted = names.map { adapter?.index(ofWeight: $0) }
    var next = merged.reserve(zip(names, adapted).reduce(0) { $0 + ($1.1 == nil ? 0 : base[$1.0].count) })
    return zip(names, adapted).map { name, index in
      let scalars = base[name]
      guard let index else { return UnsafePointer(scalars.baseAddress!) }
      defer { next += scalars.count }
      next.update(from: scalars.baseAddress!, count: scalars.count)
      merging?.add(index, to: next)
      return UnsafePointer(next)
    }
  }

  /// Packs all weights.
  package func load(into decoder: Decoder) {
    decoder.load(base)
    loadChanged(into: decoder)
  }

  /// Packs what training changes.
  package func loadChanged(into decoder: Decoder) {
    guard let adapter else { return decoder.load(base) }
    decoder.load(adapter) { [base] index, w in
      w.update(from: base.scalars(index).baseAddress!, count: base.parameters[index].count)
    }
  }
}
