import Architecture
import Support
import Tensor

extension AdapterSettings {
  /// The adapter of a model, or nil when the weights themselves are trained.
  ///
  /// - Parameters:
  ///   - family: the model's, whose modules the targets name.
  ///   - parts: only their layers are adapted.
  ///   - key: the section of the settings, for errors.
  /// - Throws: `InputError` for a target that is no layer of those parts, and a rank that is too large.
  package func description(
    for config: ModelConfig, family: any ModelFamily, parts: [ModelPart], precision: Precision, key: String
  ) throws -> AdapterDescription? {
    guard rank > 0 else { return nil }
    let part = TrainableParameters(parts)
    let layers = config.linearLayers.filter { part.contains($0.name) }.map {
      (name: $0.name, module: family.names.module(of: $0.name))
    }
    func matches(_ module: String, _ target: String) -> Bool {
      target == Self.allLinear || module == target || module.hasSuffix("." + target)
    }
    for target in targets where !layers.contains(where: { matches($0.module, target) }) {
      let known = Set(layers.compactMap { $0.module.split(separator: ".").last.map(String.init) })
      throw InputError(
        "adapt the model", at: "\(key).targets",
        expected: "\(Self.allLinear), or layers of what is trained: \(known.sorted().joined(separator: ", "))",
        found: target)
    }
    let description = AdapterDescription(
      rank: rank, alpha: alpha, basePrecision: precision,
      names: layers.filter { layer in targets.contains { matches(layer.module, $0) } }.map(\.name))
    _ = try description.shapes(in: config, place: "\(key).rank")
    return description
  }
}
