import Foundation
import Support
import Testing
import Wire

/// `fovea explain` against what a run of real processes says of itself.
@Suite struct ExplainTests {
  private static let overrides = ["run.steps=3", "algorithm.dynamic_sampling=true"]

  private func explained(_ farm: Farm, _ arguments: [String]) async throws -> JSON {
    let result = try await FoveaProcess.run(["explain", "--json", "--threads", "1"] + arguments, in: farm.folder)
    #expect(result.exitCode == 0, "\(result)")
    return try JSON.parse(Array(result.output.utf8), place: "explain")
  }

  @Test("The step that is explained is, to the bit, the one that the run trains next", .timeLimit(.minutes(2)))
  func theStepThatIsExplainedIsToTheBitTheOneThatTheRunTrainsNext() async throws {
    let farm = try Farm()
    let train = await (try farm.train(Self.overrides + ["checkpoint.every=1", "checkpoint.keep=3"])).wait(seconds: 90)
    #expect(train.exitCode == 0, "\(train)\n\(farm.diagnosis)")
    let settings = farm.folder.path + "/settings.yaml"
    let beginnings =
      [["--config", settings] + Self.overrides] + (1...2).map { ["--model", farm.checkpoint(step: $0)] }
    for (step, beginning) in beginnings.enumerated() {
      let json = try await explained(farm, beginning)
      let row = try #require(try farm.steps.first { $0.step == step + 1 })
      #expect(json["step"]?.int == step + 1)
      #expect(json["tau"]?.double == row.values["tau"], "step \(step + 1)")
      #expect(json["entropy"]?.double == row.values["entropy"])
      #expect(json["samples"]?.double == row.values["samples"])
      #expect((json["tau_before"]?.double == nil) == (step == 0))
    }
  }

  @Test("Its numbers follow from its entropies, and it draws them")
  func itsNumbersFollowFromItsEntropiesAndItDrawsThem() async throws {
    let farm = try Farm()
    let words = ["--config", farm.folder.path + "/settings.yaml", "--prompt", "2", "--svg", "page.svg"]
    let json = try await explained(farm, words)
    #expect(try await explained(farm, words) == json, "the same again")
    let tau = try #require(json["tau"]?.double)
    #expect(json["entropy"]?.double == tau, "the first step's threshold is its own mean entropy")
    let completions = try #require(json["completions"]?.array)
    #expect(completions.count == Farm.groupSize)
    #expect(json["prompts"]?.int == Farm.promptsPerStep)
    for one in completions {
      let entropies = try #require(one["entropies"]?.array).compactMap(\.double)
      #expect(entropies.count == one["tokens"]?.array?.count)
      #expect(!entropies.isEmpty)
      let mean = entropies.reduce(0, +) / Double(entropies.count)
      let (entropy, omega) = (try #require(one["entropy"]?.double), try #require(one["omega"]?.double))
      #expect(abs(entropy - mean) < 1e-6)
      #expect(abs(omega - tanh((mean - tau) / tau)) < 1e-5)
    }
    let svg = try String(contentsOfFile: farm.folder.path + "/page.svg", encoding: .utf8)
    #expect(svg.hasPrefix("<svg"))
    #expect(svg.contains("tiny, step 1, prompt 2 of 2"))
    let shown = try await FoveaProcess.run(["explain"] + words.prefix(4), in: farm.folder)
    #expect(shown.exitCode == 0, "\(shown)")
    #expect(shown.output.contains("tau = Hbar = "), "\(shown)")
    #expect(!shown.output.contains("\u{1B}"), "colours are for terminals")

    let beyond = try await FoveaProcess.run(["explain"] + words.prefix(3) + ["3"], in: farm.folder)
    #expect(beyond.exitCode == 1, "\(beyond)")
    #expect(beyond.errors.contains("--prompt: expected 1 to 2, found 3"), "\(beyond)")
    let nothing = try await FoveaProcess.run(["explain", "--model", farm.folder.path + "/model"], in: farm.folder)
    #expect(nothing.exitCode == 2, "\(nothing)")
    #expect(nothing.errors.contains("needs --config"), "\(nothing)")
  }
}
