import SettingKeys

/// The keys of the settings that tasks share. A task's definition lists those that it reads.
extension SettingKey<TaskSettings> {
  /// Those that every task reads.
  static var ofEveryTask: [Self] {
    [
      .choice(
        "name", \.name, among: TaskDefinition.all.map(\.name),
        "The task. " + TaskDefinition.all.map { "\($0.name): \($0.summary)" }.joined(separator: ". ") + "."),
      .optionalText(
        "system_prompt", \.systemPrompt, "text",
        "The system message; null takes the task's own, which is short because every prompt token costs time."),
      .optionalText(
        "question_template", \.questionTemplate, "text with {question} in it",
        "The user's turn; null takes the task's own.", isValid: { $0.contains("{question}") }),
      .number("accuracy_weight", \.accuracyWeight, .closed(0, 1000), "Weight of a right answer in the reward."),
      .number(
        "format_weight", \.formatWeight, .closed(0, 1000),
        "Weight of the answer's format. 0.1 teaches the format without making it worth more than the answer."),
      .number(
        "reasoned_share", \.reasonedShare, .closed(0, 1),
        "The share of the demonstrations of `fovea sft` that show their reasoning; the others only answer, as most "
          + "labelled data does. Below a half, the model learns to answer directly, and reinforcement learning to "
          + "reason."),
    ]
  }

  static var trainFile: Self {
    .text("train_file", \.trainFile, "a path or nothing", "The file to train on, in the format of the task (TASKS.md).")
  }

  static var heldOutFile: Self {
    .text(
      "held_out_file", \.heldOutFile, "a path or nothing",
      "The file to evaluate on, in the same format. Without it, a share of the training file is held out.")
  }

  static var heldOutShare: Self {
    .number(
      "held_out_share", \.heldOutShare, .between(0, 1),
      "Share of the problems that is held out by hash of the question, so that no run ever trains on them. 0.1 leaves "
        + "enough to measure and most to learn from.")
  }

  static var examples: Self {
    .integer(
      "examples", \.examples, 0...16,
      "Worked examples as earlier turns of the chat. They carry the answer's format to a small model; 2 are enough.")
  }

  static var partialCredit: Self {
    .flag(
      "partial_credit", \.partialCredit,
      "Multiple choice: the share of right letters counts. Off, as in the paper's evaluation.")
  }

  static var fuzzy: Self {
    .flag(
      "fuzzy", \.fuzzy,
      "Open-ended questions: token F1 counts instead of equality. Off, because the policy can game it.")
  }

  static var modalities: Self {
    .texts(
      "modalities", \.modalities, countMax: 8,
      "How the images were taken: CFP, FFA, OCT, complex, unknown. Synthetic photographs are CFP. "
        + "An empty list takes all."
    )
  }

  static var domains: Self {
    .texts(
      "domains", \.domains, countMax: 8,
      "mm_retinal_reason has in_domain, out_of_domain and unknown; synthetic-fundus has basic (the image answers) and "
        + "complex (image and vignette together). An empty list takes all.")
  }

  static var questionTypes: Self {
    .texts(
      "question_types", \.questionTypes, countMax: 8,
      "true_false, single_choice, multiple_choice, open_ended. An empty list takes all.")
  }
}
