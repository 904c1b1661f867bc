import Architecture
import Foundation
import Layers
import Model
import Support
import Tensor

/// A model that is an adapter on a base: what a folder of PEFT's holds, with the base that it names.
public struct AdaptedModel: Sendable {
  /// The description of the base: an adapter changes weights only.
  public let description: ModelDescription
  /// The base's weights, adapted matrices rounded as the adapter's description says.
  public let base: ParameterSet
  public let source: Source
  public let adapter: LowRankAdapter

  /// The base of an adapter: where it is, and which weights it has.
  public struct Source: Equatable, Sendable {
    /// A folder or a GGUF file.
    public var path: String
    /// The checksum of its weights as they were loaded: another base would silently give another model.
    public var checksum: String
  }

  /// Puts an adapter on a base.
  ///
  /// - Parameters:
  ///   - base: its weights are rounded in place, and belong to this model from now on.
  ///   - path: where it was loaded from.
  ///   - checksum: the one that the base must have; nil takes any base.
  ///   - adapter: makes the adapter for the base.
  /// - Throws: `InputError` when the base is another one.
  init(
    base: LoadedModel, path: String, checksum: String? = nil,
    adapter makeAdapter: (ModelDescription) throws -> LowRankAdapter
  ) throws {
    description = base.description
    source = Source(path: path, checksum: base.parameters.checksum)
    if let checksum, checksum != source.checksum {
      throw InputError(
        "load adapter", at: path, expected: "the base that it was trained on, whose weights have checksum \(checksum)",
        found: "weights with \(source.checksum)")
    }
    adapter = try makeAdapter(base.description)
    self.base = base.parameters
    adapter.round(self.base)
  }

  /// Where training begins: the model of a path, with its own adapter if that is the wanted one, and else with a new
  /// one.
  ///
  /// - Parameter wanted: the description of the adapter that is to be trained.
  /// - Returns: the model, and whether training resumes the model's own adapter.
  /// - Throws: `InputError` for a model that cannot be loaded, and an adapter that it cannot have.
  public static func start(
    path: String, _ wanted: AdapterDescription, seed: UInt64
  ) throws -> (model: AdaptedModel, resumes: Bool) {
    if isAdapter(path) {
      let found = try AdaptedModel(folder: path, basePrecision: wanted.basePrecision)
      if found.adapter.description.fits(wanted) { return (found, true) }
    }
    let absolute = URL(fileURLWithPath: path).path
    let model = try AdaptedModel(base: ModelLoader.load(path: path), path: absolute) {
      try .random(wanted, config: $0.config, seed: seed, place: path)
    }
    return (model, false)
  }

  /// The model as one set of weights; the base is changed in place.
  func merged() -> LoadedModel {
    adapter.merge(into: base, pool: ThreadPool(threads: 1))
    return LoadedModel(description: description, parameters: base)
  }
}
