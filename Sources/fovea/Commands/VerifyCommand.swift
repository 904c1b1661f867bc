import Benchmarks
import Console
import ModelFiles
import Tensor

/// `fovea verify`: the proofs of exactness, on this machine and a model.
enum VerifyCommand: Command {
  static let specification = CommandSpecification(
    "verify",
    "Proves on this machine that workers and learner compute the same bits, and measures int8 rollouts against them.",
    options: [
      .option("model", "M", "A Hugging Face folder or a GGUF file.", required: true),
      .option("precision", "P", "bfloat16 (default) or float32."),
    ])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let precision = try arguments.precision(default: .bfloat16)
    let model = try ModelLoader.load(path: arguments.required("model"))
    let output = TerminalOutput()
    var failures = 0
    let verification = Verification(
      config: model.description.config, parameters: model.parameters, precision: precision)
    try verification.run { line in
      if !line.holds { failures += 1 }
      output.write("\(line.holds ? "pass" : "FAIL")  \(line.claim) (\(line.detail))\n")
    }
    output.write(failures == 0 ? "every claim holds\n" : "\(failures) claims do not hold\n")
    return failures == 0 ? .success : .input
  }
}
