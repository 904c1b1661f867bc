import Architecture
import Console
import Imaging
import ModelFiles
import Processors
import Prompts
import Settings
import Support
import Tasks
import Tensor
import Tokenizers

/// `fovea create`: a model from nothing, as a Hugging Face folder.
enum CreateCommand: Command {
  static let specification = CommandSpecification(
    "create", "Makes a model from nothing: a tokenizer learned from text, and random weights.",
    options: [
      .option(
        "config", "FILE", "Settings in YAML: the sizes (model.create), the task, the seed. Default: the defaults."),
      .option("output", "FOLDER", "The folder to make. Default: the settings' model.path."),
    ],
    operands: .many(name: "KEY=VALUE", summary: "Settings that win over the file."),
    notes: [
      """
      fovea create --config configs/fundus.yaml
      fovea create --output models/tiny model.create.layer_count=2 model.create.image_size=0
      """
    ])

  /// The number of the task's prompts that the tokenizer is trained on; more teach a vocabulary of some thousand tokens
  /// nothing new.
  private static let promptCount: UInt64 = 2048

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let settings = try SettingsFile.load(path: arguments["config"], overrides: arguments.operands)
    let folder = arguments["output"] ?? settings.model.path
    guard !Files.exists(folder) else {
      throw InputError("create model", at: folder, expected: "a name that is free", found: "a file or folder")
    }
    let model = try settings.model.create.make(
      texts: texts(settings), channels: channels(settings), seed: settings.run.seed, place: "model.create")
    let temporary = folder + Files.temporarySuffix
    try ModelSaver.save(model.description, parameters: model.parameters, to: temporary, encoding: .float32)
    try Files.move(temporary, to: folder)
    let counts = ModelPart.allCases.map { part in
      let trained = TrainableParameters([part]).parameters(of: model.parameters.parameters)
      return "\(part.rawValue) \(trained.reduce(0) { $0 + $1.count })"
    }
    print(
      "\(folder): \(model.description.tokenizer.vocabularySize) tokens; parameters: \(counts.joined(separator: ", "))")
    return .success
  }

  /// Prompts of the task whose images are measured.
  private static let measuredCount: UInt64 = 512

  private static func channels(_ settings: RunSettings) throws -> ChannelStatistics {
    guard settings.model.create.imageSize > 0 else { return .full }
    let dataset = try makeDataset(settings.task, seed: settings.run.seed)
    let images = try (0..<measuredCount).flatMap { cursor in
      try dataset.trainingPrompt(at: cursor).images.map {
        try ImageFile.decode($0.bytes, place: "training prompt \(cursor)")
      }
    }
    return .measured(over: images) ?? .full
  }

  private static func texts(_ settings: RunSettings) throws -> [String] {
    guard settings.model.create.textFiles.isEmpty else {
      return try settings.model.create.textFiles.map { path in
        String(
          decoding: try Files.read(path, operation: "read text", byteCountMax: 256 << 20, acceptsPipes: true),
          as: UTF8.self)
      }
    }
    let dataset = try makeDataset(settings.task, seed: settings.run.seed)
    return (0..<promptCount).flatMap { cursor in
      let prompt = dataset.trainingPrompt(at: cursor)
      let written = [prompt.reward.reference, prompt.annotation.completion, prompt.annotation.caption]
      return prompt.messages.map(\.content) + written.compactMap { $0 }
    }
  }
}
