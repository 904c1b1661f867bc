import Architecture
import Console
import Learner
import ModelFiles
import Settings
import Tensor

/// The output of `--dry-run`. Each function reads the model's description, so that a wrong path shows before anything
/// is started.
extension TrainPlan {
  /// The lines of `--dry-run` for `fovea train`.
  func described() throws -> [String] {
    let (path, model) = try model()
    let config = model.config
    let adapter = try TrainedModel.check(
      settings.model, training: settings.model.train, of: model, key: "model.train")
    let memory = MemoryEstimate(
      config: config, settings: settings, training: settings.model.train, adapter: adapter)
    let scalars = config.parameters.reduce(0) { $0 + $1.count }
    let samples = settings.rollout.promptsPerStep * settings.rollout.groupSize
    return [
      "dry run: nothing is started", "",
      "model          \(path), \(scalars / 1_000_000)M parameters, of which \(memory.trainedCount) are trained",
      "run directory  \(folder)",
      "steps          \(settings.run.steps), each of \(settings.rollout.promptsPerStep) prompts with "
        + "\(settings.rollout.groupSize) samples: \(samples * settings.run.steps) samples in all",
      "coordinator    1 process, listening on \(settings.farm.listen)",
      "connections    \(security)",
      "learner        1 process, \(threads.learner) threads, about \(Formatting.bytes(memory.learner))",
      "workers        \(settings.farm.workers) processes, \(threads.worker) threads and "
        + "\(settings.rollout.slots) slots each, about \(Formatting.bytes(memory.worker)) each",
    ] + settings.unusedTaskKeys.map { "unused         \($0), which the task does not read" } + describedSettings
  }

  /// The lines of `--dry-run` for `fovea align` and `fovea sft`.
  func described(_ stage: TrainingStage) throws -> [String] {
    let (path, model) = try model()
    let config = model.config
    let own = stage.settings(of: settings)
    let adapter = try TrainedModel.check(settings.model, training: own.train, of: model, key: stage.partsKey)
    let memory = MemoryEstimate(config: config, settings: settings, training: own.train, adapter: adapter)
    let scalars = config.parameters.reduce(0) { $0 + $1.count }
    return [
      "dry run: nothing is started", "",
      "model          \(path), \(scalars) parameters, of which \(memory.trainedCount) are trained",
      "run directory  \(folder)",
      "steps          \(own.steps), each of \(own.examplesPerStep) examples",
      "memory         about \(Formatting.bytes(memory.learner)), \(threads.learner) threads",
    ] + describedSettings
  }

  private var describedSettings: [String] {
    ["", "settings:"] + settings.described().split(separator: "\n").map { "  \($0)" }
  }

  /// The run's folder, in words, before it is made.
  private var folder: String {
    resumes.map { "\($0) (resumed)" } ?? runDirectory ?? "\(settings.run.directory)/\(name) or the next free name"
  }

  private var security: String {
    if !settings.farm.keys.isEmpty { return "encrypted, only with the keys of \(settings.farm.keys)" }
    return settings.farm.insecure ? "in the clear, open to every network" : "in the clear, on this machine only"
  }
}
