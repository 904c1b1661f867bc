import Foundation
import Glibc
import Support
import Testing
import Wire

/// The commands beside training, on the tiny model: what they print is what other programs read.
@Suite struct ToolTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try TinyModel.write(to: folder.path + "/model")
  }

  private func json(_ arguments: [String]) async throws -> JSON {
    let result = try await FoveaProcess.run(arguments, in: folder)
    #expect(result.exitCode == 0, "\(result)")
    return try JSON.parse(Array(result.output.utf8), place: arguments[0])
  }

  @Test("tokenize prints ids that decode to the text") func tokenizePrintsIdsThatDecodeToTheText() async throws {
    let result = try await json(["tokenize", "--model", "model", "Hé!", "--json"])
    #expect(result["tokens"]?.array?.compactMap(\.int) == [72, 195, 169, 33])
    #expect(result["text"]?.string == "Hé!")
    let plain = try await FoveaProcess.run(["tokenize", "--model", "model", "Hé!"], in: folder)
    #expect(plain.output == "72 195 169 33\n")
  }

  @Test("score gives each token but the first a log-probability and an entropy")
  func scoreGivesEachTokenButTheFirstALogProbabilityAndAnEntropy() async throws {
    try folder.write("Some text.", to: "text.txt")
    let result = try await json(["score", "--model", "model", "--text", "text.txt", "--json", "--threads", "1"])
    let logProbabilities = result["log_probabilities"]?.array?.compactMap(\.double) ?? []
    let entropies = result["entropies"]?.array?.compactMap(\.double) ?? []
    #expect(result["tokens"]?.array?.count == 10)
    #expect(logProbabilities.count == 9)
    #expect(entropies.count == 9)
    #expect(logProbabilities.allSatisfy { $0 < 0 })
    #expect(entropies.allSatisfy { (0...log(258.0)).contains($0) })
  }

  @Test("The same seed samples the same completions, and streaming shows the same")
  func theSameSeedDrawsTheSameCompletionsAndStreamingShowsTheSame() async throws {
    let words = [
      "generate", "--model", "model", "--prompt", "Hello", "--max-tokens", "12", "--threads", "1", "--seed", "7",
    ]
    let first = try await FoveaProcess.run(words + ["--json"], in: folder)
    #expect(first.exitCode == 0, "\(first)")
    let text = try JSON.parse(Array(first.output.utf8), place: "generate")["text"]?.string
    let second = try await FoveaProcess.run(words + ["--json"], in: folder)
    #expect(second.output == first.output)
    let streamed = try await FoveaProcess.run(words, in: folder)
    #expect(streamed.output == (text ?? "") + "\n")
    let group = try await FoveaProcess.run(words + ["--json", "--samples", "3"], in: folder)
    #expect(group.output.split(separator: "\n").contains { $0 + "\n" == first.output }, "\(group)")
  }

  @Test("data counts good rows and names bad ones") func dataCountsGoodRowsAndNamesBadOnes() async throws {
    let png = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/imaging/decode/bilevel.png")
    let image = JSON.string(try Data(contentsOf: png).base64EncodedString())
    func row(_ images: [JSON]) -> JSON {
      .object([
        "image": .array(images), "reason": .string("Because."),
        "conversations": .array([
          .object(["from": .string("human"), "value": .string("Which?\nA. one\nB. two")]),
          .object(["from": .string("gpt"), "value": .string("B")]),
        ]),
      ])
    }
    let rows = JSON.array([row([image]), row(Array(repeating: image, count: 7)), row([image, image])])
    try folder.write(String(decoding: rows.serialized(), as: UTF8.self), to: "oct.json")
    let check = try await FoveaProcess.run(["data", "check", "oct.json", "--pixels"], in: folder)
    #expect(check.exitCode == 1, "\(check)")
    #expect(check.output.contains("3 rows, 1 bad"), "\(check)")
    #expect(check.output.contains("row 1: image: expected 1 to 6 images, found 7"), "\(check)")
    let stats = try await FoveaProcess.run(["data", "stats", "oct.json", "--json"], in: folder)
    let cells = try #require(try JSON.parse(Array(stats.output.utf8), place: "stats")["cells"]?.array)
    try #require(cells.count == 1, "\(stats)")
    #expect(cells[0]["modality"]?.string == "OCT", "\(stats)")
    #expect(cells[0]["rows"]?.int == 2, "\(stats)")
    let shown = try await json(["data", "show", "oct.json", "--row", "2", "--json"])
    #expect(shown["answer"]?.string == "B")
    #expect(shown["type"]?.string == "single_choice")
    // What lies behind the row is not looked at.
    let text = String(decoding: rows.serialized(), as: UTF8.self)
    try folder.write(text.dropLast(2) + "} and nothing that is JSON", to: "broken_oct.json")
    let first = try await json(["data", "show", "broken_oct.json", "--json"])
    #expect(first["answer"]?.string == "B")
    let broken = try await FoveaProcess.run(["data", "show", "broken_oct.json", "--row", "3"], in: folder)
    #expect(broken.exitCode == 1, "\(broken)")
    #expect(broken.errors.contains("within row 2"), "\(broken)")
    let missing = try await FoveaProcess.run(["data", "show", "oct.json", "--row", "3"], in: folder)
    #expect(missing.exitCode == 1, "\(missing)")
    #expect(missing.errors.contains("expected a row below 3"), "\(missing)")
  }

  @Test("A signal ends what cannot drain at once") func aSignalEndsWhatCannotDrainAtOnce() async throws {
    let process = try FoveaProcess(
      ["status", "--connect", "tcp://127.0.0.1:1", "--timeout", "3600"], in: folder)
    try await Task.sleep(for: .milliseconds(500))
    process.send(SIGINT)
    #expect(await process.wait(seconds: 10).exitCode == 130)
  }

  @Test("A dry run prints every setting and starts nothing")
  func dryRunPrintsEverySettingAndStartsNothing() async throws {
    try folder.write("model: {path: model}\n", to: "settings.yaml")
    let result = try await FoveaProcess.run(
      ["train", "--config", "settings.yaml", "--dry-run", "run.steps=17", "run.directory=elsewhere"], in: folder)
    #expect(result.exitCode == 0, "\(result)")
    #expect(result.output.contains("steps: 17"), "\(result)")
    #expect(result.output.contains("dry run: nothing is started"))
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/elsewhere"))
  }

  @Test("A checkpoint is evaluated as the run did, and damage is found", .timeLimit(.minutes(2)))
  func aCheckpointIsEvaluatedAsTheRunDidAndDamageIsFound() async throws {
    let farm = try Farm()
    let train = await (try farm.train(["run.steps=2"])).wait(seconds: 90)
    #expect(train.exitCode == 0, "\(train)\n\(farm.diagnosis)")
    let checkpoint = farm.runPath + "/checkpoints/step-000002"
    let output = farm.folder.path + "/answers.jsonl"
    let result = try await FoveaProcess.run(
      [
        "eval", "--config", farm.runPath + "/settings.yaml", "--model", checkpoint, "--model",
        farm.folder.path + "/model",
        "--output", output, "--threads",
        "1",
        "--json",
      ], in: farm.folder)
    #expect(result.exitCode == 0, "\(result)")
    let metrics = try farm.metrics
    let own = try #require(metrics.last { $0.kind == .evaluation })
    let lines = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n")
      .map { try JSON.parse(Array($0.utf8), place: output) }
    let tokens = lines.compactMap { $0["tokens"]?.double }
    #expect(lines.count == 8)
    #expect(tokens.prefix(4).reduce(0, +) / 4 == own.values["heldout_completion_tokens"])
    let json = try JSON.parse(Array(result.output.utf8), place: "eval")
    #expect(json["metrics"]?.array?.first?["heldout_accuracy"]?.double == own.values["heldout_accuracy"])
    let board = json["scoreboard"]
    #expect(board?["models"]?.array?.map(\.string) == [checkpoint, farm.folder.path + "/model"])
    let measures = board?["rows"]?.array?.compactMap { $0["measure"]?.string }
    #expect(measures == ["accuracy", "format", "difference"])

    let whole = try await FoveaProcess.run(["checkpoints", farm.runPath], in: farm.folder)
    #expect(whole.exitCode == 0, "\(whole)")
    #expect(whole.output.contains("step-000002"), "\(whole)")
    #expect(whole.output.contains("whole"), "\(whole)")
    let weights = URL(fileURLWithPath: checkpoint + "/model.safetensors")
    var bytes = try Data(contentsOf: weights)
    bytes[bytes.count - 1] ^= 1
    try bytes.write(to: weights)
    let damaged = try await FoveaProcess.run(["checkpoints", farm.runPath], in: farm.folder)
    #expect(damaged.exitCode == 1, "\(damaged)")
    #expect(damaged.output.contains("model.safetensors"), "\(damaged)")
  }

  @Test("Every metric of a run stands in the table of metrics") func everyMetricIsDocumented() async throws {
    let farm = try Farm()
    let train = await (try farm.train(["run.steps=2"])).wait(seconds: 90)
    #expect(train.exitCode == 0, "\(train)\n\(farm.diagnosis)")
    let names = Set(try farm.metrics.flatMap(\.values.keys))
    #expect(names.count > 40)
    for name in names { #expect(MetricDefinition.named(name) != nil, "\(name) is not in the table of metrics") }
  }
}
