import Console
import Foundation
import Runs
import Support

/// `fovea checkpoints`: the checkpoints of a run, and whether each is whole.
enum CheckpointsCommand: Command {
  static let specification = CommandSpecification(
    "checkpoints", "Lists the checkpoints of a run and verifies their checksums.",
    options: [.flag("json", "Prints JSON.")],
    operands: .one(name: "RUN", summary: "A run directory, or its folder of checkpoints."))

  private struct Entry {
    var step: UInt32
    var path: String
    var byteCount: Int
    var problem: String?
  }

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let run = arguments.operands[0]
    let inside = RunDirectory.at(run).checkpoints
    let folder = Files.exists(inside.path) ? inside : CheckpointFolder(run)
    guard Files.exists(folder.path) else {
      throw InputError("list checkpoints", at: run, expected: "a run directory", found: "nothing")
    }
    let best = folder.best
    let entries = folder.steps.map { step in
      let path = folder.path(step: step)
      var problem: String?
      do { try CheckpointFolder.verify(path) } catch { problem = "\(error)" }
      return Entry(step: step, path: path, byteCount: size(of: path), problem: problem)
    }
    if arguments.has("json") {
      let list = entries.map { entry in
        JSON.object([
          "step": .integer(Int64(entry.step)), "path": .string(entry.path), "bytes": .integer(Int64(entry.byteCount)),
          "valid": .bool(entry.problem == nil), "problem": entry.problem.map { .string($0) } ?? .null,
          "best": .bool(best?.step == entry.step),
        ])
      }
      print(String(decoding: JSON.array(list).serialized(pretty: true), as: UTF8.self))
    } else {
      if entries.isEmpty { print("no checkpoints in \(folder.path)") }
      for entry in entries {
        let accuracy = best.map { " (held-out accuracy \(Formatting.metric(Double($0.accuracy))))" } ?? ""
        let mark = best?.step == entry.step ? "  best\(accuracy)" : ""
        print("\(entry.path)  \(Formatting.bytes(entry.byteCount))  \(entry.problem ?? "whole")\(mark)")
      }
    }
    return entries.contains { $0.problem != nil } ? .input : .success
  }

  private static func size(of folder: String) -> Int {
    let names = (try? Files.names(in: folder)) ?? []
    return names.reduce(0) { sum, name in
      let attributes = try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
      return sum + ((attributes?[.size] as? Int) ?? 0)
    }
  }
}
