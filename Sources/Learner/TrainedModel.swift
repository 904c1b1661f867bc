import Architecture
import Layers
import Model
import ModelFiles
import Runs
import Settings
import Support
import Tensor
import Training

/// The model of a run as its training thread opens it: from the newest valid checkpoint of the run's folder, or, where
/// there is none, from the model that the settings name.
///
/// Every kind of training opens its model here, so that all of their checkpoints are alike.
public struct TrainedModel {
  public let description: ModelDescription
  /// Names the model in errors.
  public let place: String
  /// fp32 master weights, which `optimizer` changes: the model's, or those of its adapter.
  public let weights: ParameterSet
  /// Where only an adapter is trained, with its base.
  public let adapted: AdaptedModel?
  public let optimizer: AdamW
  /// The state of training, which describes the weights.
  public let state: TrainerState
  public let store: CheckpointStore
  /// Whether it was opened from a checkpoint of this run.
  public let isResumed: Bool
  /// The parameters that training changes.
  package let trainable: TrainableParameters
  private let encoding: ModelSaver.Encoding

  /// - Parameters:
  ///   - folder: the run's; its checkpoints are resumed from and written.
  ///   - parts: what training changes, or where it puts its adapter; the rest is frozen.
  ///   - key: the setting that says so, for errors.
  ///   - log: a line for people.
  /// - Throws: `InputError` for a model that cannot be loaded or has none of the parts, when there are checkpoints but
  ///   none is valid, and when the newest one was trained with another adapter, or without.
  public init(
    settings: RunSettings, folder: String, pool: ThreadPool, training parts: [ModelPart], key: String,
    log: (String) -> Void
  ) throws {
    store = CheckpointStore(RunDirectory.at(folder).checkpoints, keep: settings.checkpoint.keep)
    try store.recover()
    let (newest, passedOver) = store.folder.newestValid()
    for error in passedOver { log("checkpoint passed over: \(error)") }
    if newest == nil, let error = passedOver.first { throw error }

    let digest = textDigest(settings.described())
    let moments = settings.optimizer.moments
    let path = newest ?? settings.model.path
    description = try ModelLoader.describe(path: path)
    let config = description.config
    let wanted = try Self.check(settings.model, training: parts, of: description, key: key)
    trainable = wanted == nil ? TrainableParameters(parts) : .all
    adapted = try wanted.map { try Self.adapted($0, settings: settings, checkpoint: newest, log: log) }
    if let newest {
      if wanted == nil, AdaptedModel.isAdapter(newest) {
        throw InputError(
          "open the run", at: newest, expected: "a checkpoint of all weights, for model.lora.rank is 0",
          found: "one of an adapter")
      }
      let checkpoint = try CheckpointStore.load(
        newest, config: config, masterWeights: adapted?.adapter.parameters.parameters, trainable: trainable,
        moments: moments)
      adapted?.adapter.parameters.update(from: checkpoint.masterWeights)
      weights = adapted?.adapter.parameters ?? checkpoint.masterWeights
      optimizer = AdamW(checkpoint, pool: pool, trainable: trainable)
      var state = checkpoint.state
      log("resumes from \(newest)")
      if state.settingsDigest != digest { log("the settings are not those of the checkpoint") }
      state.settingsDigest = digest
      self.state = state
    } else {
      weights = try adapted?.adapter.parameters ?? ModelLoader.load(path: path).parameters
      optimizer = AdamW(parameters: weights, pool: pool, trainable: trainable, moments: moments)
      state = TrainerState(settingsDigest: digest)
    }
    isResumed = newest != nil
    place = path
    encoding = settings.model.precision == .float32 ? .float32 : .bfloat16
  }

  /// - Returns: the adapter that is trained, or nil when the weights themselves are.
  /// - Throws: `InputError` when a model has none of the parts that are to be trained, or cannot have such an adapter.
  @discardableResult
  public static func check(
    _ settings: RunSettings.Model, training parts: [ModelPart], of model: ModelDescription, key: String
  ) throws -> AdapterDescription? {
    guard !TrainableParameters(parts).parameters(of: model.config.parameters).isEmpty else {
      throw InputError(
        "open the run", at: key, expected: "a part that the model has",
        found: parts.map(\.rawValue).joined(separator: ", "))
    }
    return try settings.lora.description(
      for: model.config, family: model.family, parts: parts, precision: settings.precision, key: "model.lora")
  }

  private static func adapted(
    _ wanted: AdapterDescription, settings: RunSettings, checkpoint: String?, log: (String) -> Void
  ) throws -> AdaptedModel {
    guard let checkpoint else {
      let (model, isTrainedOn) = try AdaptedModel.start(path: settings.model.path, wanted, seed: settings.run.seed)
      let details = "rank \(wanted.rank) on \(wanted.names.count) layers of \(model.source.path)"
      log("\(isTrainedOn ? "trains the adapter of \(settings.model.path)" : "a new adapter"): \(details)")
      return model
    }
    guard AdaptedModel.isAdapter(checkpoint), case let model = try AdaptedModel(folder: checkpoint),
      model.adapter.description == wanted
    else {
      throw InputError(
        "open the run", at: checkpoint,
        expected: "a checkpoint of the adapter of model.lora: rank \(wanted.rank) on \(wanted.names.count) layers",
        found: "another one")
    }
    return model
  }

  /// Writes the Hugging Face files of the weights as they are now, or PEFT's of the adapter.
  public func write(to folder: String) throws {
    if let adapted { return try adapted.save(to: folder) }
    try ModelSaver.save(description, parameters: weights, to: folder, encoding: encoding)
  }
}
