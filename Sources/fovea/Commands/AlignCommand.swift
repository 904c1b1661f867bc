import Console
import Learner

/// `fovea align`: the first stage, projector pre-training (or the parts of `align.train`) on images and captions.
enum AlignCommand: Command {
  static let specification = CommandSpecification(
    "align",
    "Stage 1, projector pre-training: trains the projector, or the parts of align.train, on images and captions.",
    options: SftCommand.options,
    operands: .many(name: "KEY=VALUE", summary: "Settings that win over the file, for example align.steps=10."),
    notes: SftCommand.notes("align"))

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    try await SftCommand.run(.align, arguments, host)
  }
}
