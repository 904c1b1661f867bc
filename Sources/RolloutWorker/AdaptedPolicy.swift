import Architecture
import Model
import Support
import Tensor
import Wire

/// The base model of versions that are adapters, which a worker holds next to its decoder.
///
/// It comes from the learner once and is verified as every payload is; a version that names another base is refused. It
/// has the precision that the learner rounds it to, and `LowRankAdapter` makes the sum, so both compute with the same
/// weights.
package struct AdaptedPolicy {
  private let base: WeightsPayload

  /// - Parameter base: the whole model; adapters name it by its manifest's hash.
  package init(_ base: WeightsPayload) { self.base = base }

  var manifest: WeightsManifest { base.manifest }

  /// Packs the whole base model; the first version then replaces the matrices that adapters change.
  package func load(into decoder: Decoder) {
    for index in manifest.tensors.indices {
      switch manifest.tensors[index].encoding {
      case .bfloat16: base.withBFloat16(index) { decoder.load(parameter: index, bfloat16: $0.baseAddress!) }
      case .float32: base.withFloat32(index) { decoder.load(parameter: index, float32: $0.baseAddress!) }
      }
    }
  }

  /// Packs the matrices that a version's adapter changes.
  ///
  /// - Throws: `InputError` when the version has another base, or is no adapter of it.
  package func load(_ version: WeightsPayload, into decoder: Decoder) throws {
    let place = "weights of \(version.manifest.version)"
    guard let header = version.manifest.adapter, header.baseHash == manifest.payloadHash else {
      throw InputError(
        "load weights", at: place, expected: "an adapter on the base model \(String(manifest.payloadHash, radix: 16))",
        found: version.manifest.adapter.map { "one on \(String($0.baseHash, radix: 16))" } ?? "no adapter")
    }
    let names = Set(version.manifest.tensors.map(\.name))
    let description = AdapterDescription(
      rank: Int(header.rank), alpha: header.alpha, basePrecision: decoder.precision,
      names: decoder.config.parameters.map(\.name).filter { names.contains(AdapterDescription.names(of: $0).a) })
    let adapter = try LowRankAdapter(description, config: decoder.config, place: place)
    try version.copy(to: adapter.parameters)
    decoder.load(adapter) { index, w in
      switch manifest.tensors[index].encoding {
      case .float32: base.withFloat32(index) { w.update(from: $0.baseAddress!, count: $0.count) }
      case .bfloat16:
        base.withBFloat16(index) { scalars in
          for i in scalars.indices { w[i] = Float(bitPattern: UInt32(scalars[i]) << 16) }
        }
      }
    }
  }
}
