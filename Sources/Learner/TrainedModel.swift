import Core
import Settings

/// The model of a run as its training thread opens it: from the newest valid checkpoint of the run's folder, or, where there is
/// none, from the model that the settings name.
///
/// Every kind of training opens its model here, so that all of their checkpoints are alike.
public struct TrainedModel {
  public let description: ModelDescription
  /// Names the model in errors.
  public let place: String
  /// fp32 master weights, which `policy` and `optimizer` share.
  public let weights: ParameterSet
  public let policy: TrainingModel
  public let optimizer: AdamW
  /// What training had come to.
  public let state: TrainerState
  public let store: CheckpointStore
  /// Whether it goes on from a checkpoint of this run.
  public let isResumed: Bool
  private let encoding: ModelSaver.Encoding

  /// - Parameters:
  ///   - folder: the run's; its `checkpoints` are gone on from and written.
  ///   - parts: what training changes; the rest is frozen.
  ///   - key: the setting that says so, for errors.
  ///   - log: a line for people.
  /// - Throws: `InputError` for a model that cannot be loaded or has none of the parts, and when there are checkpoints but none
  ///   is valid.
  public init(
    settings: RunSettings, folder: String, pool: ThreadPool, training parts: [ModelPart], key: String,
    log: (String) -> Void
  ) throws {
    store = CheckpointStore(folder: "\(folder)/checkpoints", keep: settings.checkpoint.keep)
    try store.recover()
    let (newest, passedOver) = store.newestValid()
    for error in passedOver { log("checkpoint passed over: \(error)") }
    if newest == nil, let error = passedOver.first { throw error }

    let digest = textDigest(settings.described())
    let moments = settings.optimizer.moments
    let trainable = TrainableParameters(parts)
    if let newest {
      description = try ModelLoader.describe(path: newest)
      let checkpoint = try CheckpointStore.load(
        newest, config: description.config, trainable: trainable, moments: moments)
      weights = checkpoint.masterWeights
      optimizer = AdamW(checkpoint, pool: pool, trainable: trainable)
      var state = checkpoint.state
      log("goes on from \(newest)")
      if state.settingsDigest != digest { log("the settings are not those of the checkpoint") }
      state.settingsDigest = digest
      self.state = state
    } else {
      let model = try ModelLoader.load(path: settings.model.path)
      description = model.description
      weights = model.parameters
      optimizer = AdamW(parameters: weights, pool: pool, trainable: trainable, moments: moments)
      state = TrainerState(settingsDigest: digest)
    }
    try Self.check(parts, of: description.config, key: key)
    isResumed = newest != nil
    place = newest ?? settings.model.path
    policy = TrainingModel(
      config: description.config, parameters: weights, precision: settings.model.precision, pool: pool,
      selection: trainable, checkpointing: settings.optimizer.gradientCheckpointing)
    encoding = settings.model.precision == .float32 ? .float32 : .bfloat16
  }

  /// - Throws: `InputError` when a model has none of the parts that are to be trained.
  public static func check(_ parts: [ModelPart], of config: ModelConfig, key: String) throws {
    guard TrainableParameters(parts).parameters(of: config.parameters).isEmpty else { return }
    throw InputError(
      "open the run", at: key, expected: "a part that the model has",
      found: parts.map(\.rawValue).joined(separator: ", "))
  }

  /// Writes the Hugging Face files of the weights as they are now.
  public func write(to folder: String) throws {
    try ModelSaver.save(description, parameters: weights, to: folder, encoding: encoding)
  }
}
