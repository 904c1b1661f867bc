import Settings

/// The two stages before reinforcement learning. Each is a command and a section of the settings of its name.
public enum TrainingStage: String, CaseIterable, Sendable {
  /// Projector pre-training on images and their captions; the language model stays as it is, unless the settings say
  /// otherwise.
  case align
  /// Supervised fine-tuning on question, reasoning and answer.
  case sft

  /// The command of the stage after it.
  public var next: String { self == .align ? "sft" : "train" }

  /// The stage's own settings.
  public func settings(of settings: RunSettings) -> RunSettings.Stage {
    self == .align ? settings.align : settings.sft
  }

  /// The setting that says which parts of the model it trains.
  public var partsKey: String { "\(rawValue).train" }
}
