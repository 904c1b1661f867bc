import Reinforcement
import SettingKeys
import Support
import Tasks

/// Rules that span several settings: presets, and combinations that are refused or unused.
extension RunSettings {
  /// The default of `importance_cap` for inexact rollouts. Source: truncated importance sampling for quantized
  /// rollouts, Yao et al., 2025, "Your Efficient RL Framework Secretly Brings You Off-Policy RL Training", and Liu, Yao
  /// et al., 2025, "FlashRL".
  static let inexactImportanceCap: Float = 2

  /// Sets the algorithm's fields to those of a preset. The name must be one of `Preset.all`.
  public mutating func apply(preset name: String) {
    guard let preset = Preset.named(name) else { preconditionFailure("no preset named \(name)") }
    algorithm.preset = name
    algorithm.advantage = preset.advantage
    algorithm.loss = preset.loss
    algorithm.dynamicSampling = preset.dynamicSampling
  }

  /// Refuses what every key allows alone but not together.
  /// - Parameter places: where each key's value comes from; a key that is missing has its default.
  func checkCombinations(places: [String: String]) throws {
    func refuse(_ path: String, expected: String, found: String) -> InputError {
      InputError("read settings", at: "\(places[path] ?? "default"): \(path)", expected: expected, found: found)
    }
    if rollout.promptsPerStep % algorithm.updatesPerStep != 0 {
      throw refuse(
        "algorithm.updates_per_step",
        expected: "a divisor of rollout.prompts_per_step, which is \(rollout.promptsPerStep)",
        found: "\(algorithm.updatesPerStep)")
    }
    if let file = TaskDefinition.named(task.name)?.trainFile, task.trainFile.isEmpty {
      throw refuse("task.train_file", expected: "\(file), for task.name is \(task.name)", found: "nothing")
    }
    if task.accuracyWeight == 0, task.formatWeight == 0 {
      throw refuse(
        "task.accuracy_weight", expected: "a reward: accuracy_weight or format_weight above 0", found: "both 0")
    }
  }

  /// The paths of keys that were set to something else than the default although the task does not read them.
  public var unusedTaskKeys: [String] {
    let defaults = RunSettings()
    return Self.keys.filter { key in
      !key.tasks.isEmpty && !key.tasks.contains(task.name) && key.described(in: self) != key.described(in: defaults)
    }.map(\.path)
  }
}
