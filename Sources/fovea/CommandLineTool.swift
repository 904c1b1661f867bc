import Console
import Foundation
import Glibc
import Layers

/// Finds the command that the first word names, runs it, and turns its errors into a line and an exit code.
enum CommandLineTool {
  static var commands: [any Command.Type] {
    [
      CreateCommand.self, AlignCommand.self, SftCommand.self, TrainCommand.self, CoordinatorCommand.self,
      LearnerCommand.self, WorkerCommand.self, StatusCommand.self, AblateCommand.self,
      KeysCommand.self, CheckpointsCommand.self, EvalCommand.self, ExplainCommand.self,
      DataCommand.self, FundusCommand.self, GenerateCommand.self, TokenizeCommand.self, ScoreCommand.self,
      VerifyCommand.self, BenchCommand.self,
    ]
  }

  static func run(_ host: ProcessHost) async -> Int32 {
    do {
      try InstructionSet.checkEnvironment(ProcessInfo.processInfo.environment["FOVEA_ISA"])
      return try await run(Array(CommandLine.arguments.dropFirst()), host).rawValue
    } catch let error as UsageError {
      Program.complain("\(error)")
      return ExitCode.usage.rawValue
    } catch {
      Program.complain("\(error)")
      return ExitCode.input.rawValue
    }
  }

  private static func run(_ words: [String], _ host: ProcessHost) async throws -> ExitCode {
    guard let name = words.first else {
      print(overview.joined(separator: "\n"))
      return .usage
    }
    let rest = Array(words.dropFirst())
    switch name {
    case "help", "--help", "-h":
      guard let topic = rest.first else {
        print(overview.joined(separator: "\n"))
        return .success
      }
      print(try command(topic).specification.help.joined(separator: "\n"))
      return .success
    case "version", "--version", "-V":
      print("fovea \(Program.version)")
      return .success
    default:
      let command = try command(name)
      if rest.contains("--help") || rest.contains("-h") {
        print(command.specification.help.joined(separator: "\n"))
        return .success
      }
      return try await command.run(ParsedArguments(rest, for: command.specification), host: host)
    }
  }

  private static func command(_ name: String) throws -> any Command.Type {
    if let command = commands.first(where: { $0.specification.name == name }) { return command }
    let near = nearest(to: name, among: commands.map { $0.specification.name })
    throw UsageError(
      "there is no command \"\(name)\"", hint: near.map { "did you mean fovea \($0)?" } ?? "fovea help lists them")
  }

  private static var overview: [String] {
    ["fovea \(Program.version): a distributed reinforcement-learning rollout farm", "", "usage: fovea COMMAND ...", ""]
      + CommandSpecification.table(
        commands.map { ($0.specification.name, $0.specification.summary) }
          + [("help COMMAND", "Shows a command's options."), ("--version", "Prints the version.")])
      + [
        "",
        "exit codes: 0 done or drained, 1 wrong input or environment, 2 wrong usage, 3 the farm failed, "
          + "130 interrupted twice",
      ]
  }
}
