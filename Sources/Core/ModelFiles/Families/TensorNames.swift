import Architecture
import Tensor

/// What a family's files call the tensors that `ModelConfig.parameters` calls by canonical names.
///
/// Of the names that files have had over the years, the published ones are written, and all of them are read. Adapters
/// name the modules of a model that is in memory, as `transformers` has built them since release 5.
///
/// Source: the published weights of the families, and conversion_mapping.py of `transformers`.
package struct TensorNames: Sendable {
  /// Beginnings of canonical names, and those of the published names; the first that fits counts.
  package var prefixes: [(canonical: String, published: String)]
  /// Parts of canonical names behind such a beginning, and of the published names; the first that is found counts.
  package var parts: [(canonical: String, published: String)]
  /// Beginnings that names in files have had, and the published ones; the first that fits counts.
  package var forms: [(found: String, published: String)]
  /// Beginnings of the published names, and those of the modules in memory; the first that fits counts.
  package var modules: [(published: String, module: String)]

  package init(
    prefixes: [(canonical: String, published: String)] = [], parts: [(canonical: String, published: String)] = [],
    forms: [(found: String, published: String)] = [], modules: [(published: String, module: String)] = []
  ) {
    self.prefixes = prefixes
    self.parts = parts
    self.forms = forms
    self.modules = modules
  }

  /// Files have the canonical names.
  package static let canonical = TensorNames()

  /// The name in a file that is written.
  func fileName(of parameter: String) -> String {
    guard let (own, theirs) = prefixes.first(where: { parameter.hasPrefix($0.canonical) }) else { return parameter }
    let rest = String(parameter.dropFirst(own.count))
    for (own, replacement) in parts {
      guard let range = rest.firstRange(of: own) else { continue }
      return theirs + rest[..<range.lowerBound] + replacement + rest[range.upperBound...]
    }
    return theirs + rest
  }

  /// The module that a parameter belongs to, as PEFT names it.
  func module(of parameter: String) -> String {
    let name = fileName(of: parameter).split(separator: ".").dropLast().joined(separator: ".")
    guard let (file, memory) = modules.first(where: { name.hasPrefix($0.published) }) else { return name }
    return memory + name.dropFirst(file.count)
  }

  /// The weight of a module, named in any of the forms that files have had; nil when it is no linear layer of the
  /// model.
  func weight(ofModule name: String, config: ModelConfig) -> String? {
    let published = published(name + ".weight")
    return config.linearLayers.first { fileName(of: $0.name) == published }?.name
  }

  /// Tensors of a file under their canonical names; what is no parameter keeps its published name.
  func canonical<Stored>(_ tensors: [String: Stored], config: ModelConfig) -> [String: Stored] {
    let own = Dictionary(uniqueKeysWithValues: config.parameters.map { (fileName(of: $0.name), $0.name) })
    var result: [String: Stored] = [:]
    for (name, tensor) in tensors {
      let published = published(name)
      result[own[published] ?? published] = tensor
    }
    return result
  }

  /// The published form of a name in any of the forms.
  private func published(_ name: String) -> String {
    guard let (found, published) = forms.first(where: { name.hasPrefix($0.found) }) else { return name }
    return published + name.dropFirst(found.count)
  }

  /// Whether a tensor of a file may be left out: a head that is the embedding again, the rotary frequencies that old
  /// files hold, and the numbers of CLIP's positions.
  ///
  /// - Parameter name: as `canonical` gives it.
  func isNoParameter(_ name: String, of config: ModelConfig) -> Bool {
    config.tiedHead && name == fileName(of: "lm_head.weight")
      || name.hasSuffix(".rotary_emb.inv_freq") || config.vision != nil && name.hasSuffix(".embeddings.position_ids")
  }
}
