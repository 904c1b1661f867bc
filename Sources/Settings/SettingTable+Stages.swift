import Architecture
import Reinforcement

/// The keys of the two stages before reinforcement learning.
extension SettingKey {
  static let align = stage(
    "align", "fovea align", train: \.align.train, steps: \.align.steps, examplesPerStep: \.align.examplesPerStep,
    learningRate: \.align.learningRate, warmupSteps: \.align.warmupSteps, decay: \.align.decay)

  static let sft = stage(
    "sft", "fovea sft", train: \.sft.train, steps: \.sft.steps, examplesPerStep: \.sft.examplesPerStep,
    learningRate: \.sft.learningRate, warmupSteps: \.sft.warmupSteps, decay: \.sft.decay)

  private static func stage(
    _ name: String, _ command: String, train: Field<[ModelPart]>, steps: Field<Int>, examplesPerStep: Field<Int>,
    learningRate: Field<Double>, warmupSteps: Field<Int>, decay: Field<Schedule.Decay>
  ) -> [SettingKey] {
    [
      .choices(
        "\(name).train", train,
        "The parts that `\(command)` changes. Alignment leaves the language as it is, and an encoder that was trained before; "
          + "one from nothing has to learn to see."),
      .integer("\(name).steps", steps, 1...10_000_000, "Training steps of `\(command)`."),
      .integer(
        "\(name).examples_per_step", examplesPerStep, 1...65_536,
        "Examples of a step; the loss is the mean over all of their completions' tokens."),
      .number(
        "\(name).learning_rate", learningRate, .closed(0, 1),
        "AdamW's rate after the warm-up. 2e-5 suits a model that can speak; one from nothing wants 1e-3. All else of the "
          + "optimizer is as `optimizer` says."),
      .integer("\(name).warmup_steps", warmupSteps, 0...10_000_000, "Steps of linear rise."),
      .choice(
        "\(name).decay", decay,
        "The schedule after the warm-up, over the stage's steps. A stage has an end, so it decays."),
    ]
  }
}
