import Evaluation
import Experiments
import Foundation
import Reinforcement
import Settings
import Support
import Testing

private func isNear(_ value: Double?, _ expected: Double) -> Bool {
  value.map { abs($0 - expected) <= 1e-9 * max(1, abs(expected)) } ?? false
}

@Suite("The record of an evaluation")
struct EvaluationRecordTests {
  @Test("is kept as JSON, and nothing else is taken for one")
  func record() throws {
    let record = EvaluationRecord(model: "m", prompts: 4, figures: [Figure("accuracy", 0.25), Figure("format", 1)])
    let bytes = record.json.serialized()
    #expect(EvaluationRecord(try JSON.parse(bytes, place: "record")) == record)
    for text in ["3", "{}", #"{"model":"m","prompts":4,"figures":[{"name":"accuracy"}]}"#] {
      #expect(EvaluationRecord(try JSON.parse(Array(text.utf8), place: "record")) == nil)
    }
  }
}

@Suite("The plan of an ablation")
struct AblationPlanTests {
  private func plan(_ variants: [String] = [], seeds: Int = 2, _ overrides: [String] = []) throws -> AblationPlan {
    let path = NSTemporaryDirectory() + "fovea-ablation-\(UUID().uuidString).yaml"
    try "run: {seed: 7, steps: 9}\nrollout: {prompts_per_step: 4, group_size: 6}\n"
      .write(toFile: path, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try AblationPlan(config: path, overrides: overrides, variants: variants, seedCount: seeds)
  }

  @Test("is every variant with every seed, a seed after the other")
  func runs() throws {
    let plan = try plan(["a:", "b:algorithm.shaping.lambda=0.25  optimizer.learning_rate=1e-4"], ["run.steps=3"])
    #expect(plan.runs.map(\.name) == ["a-seed7", "b-seed7", "a-seed8", "b-seed8"])
    #expect(plan.runs.map(\.variant) == [0, 1, 0, 1])
    #expect(plan.seeds == [7, 8])
    #expect(plan.runs[0].overrides == ["run.steps=3", "run.seed=7"])
    #expect(
      plan.runs[3].overrides
        == ["run.steps=3", "algorithm.shaping.lambda=0.25", "optimizer.learning_rate=1e-4", "run.seed=8"])
    #expect(plan.variants[1].settings.algorithm.shaping.lambda == 0.25)
    #expect(plan.variants[1].settings.run.steps == 3)
  }

  @Test("compares GRPO, UADT and the entropy bonus by default")
  func standard() throws {
    let plan = try plan()
    #expect(plan.variants.map(\.name) == ["grpo", "uadt", "entropy_bonus"])
    #expect(plan.variants.map(\.settings.algorithm.shaping.kind) == ["none", "uadt", "entropy_bonus"])
  }

  @Test(
    "refuses what is no variant, and what is not on equal terms, by name",
    arguments: [
      (["x:algorithm.shapng.kind=uadt"], "variant x, override algorithm.shapng.kind"),
      (["x:algorithm.shaping.lambda=2"], "variant x, override algorithm.shaping.lambda"),
      (["x:algorithm.shaping.lambda"], "variant x, override algorithm.shaping.lambda"),
      (["algorithm.shaping.kind=uadt"], "expected NAME:KEY=VALUE"), ([""], "expected NAME:KEY=VALUE"),
      (["../x:"], "expected NAME:KEY=VALUE"), ([".:"], "expected NAME:KEY=VALUE"),
      (["x:", "x:algorithm.shaping.lambda=0"], "variant x: expected each name once"),
      (["x:run.steps=10"], "variant x, run.steps: expected 9"), (["x:run.seed=3"], "variant x, run.seed: expected 7"),
      (["x:task.name=synthetic-fundus"], "variant x, task.name"), (["x:model.path=other"], "variant x, model.path"),
      (["x:evaluation.prompts=3"], "variant x, evaluation.prompts"),
      (["x:rollout.sampling.max_new_tokens=3"], "variant x, rollout.sampling.max_new_tokens"),
      (["x:", "y:rollout.group_size=8"], "variant y: expected as many samples of a step as x, 4 x 6, found 4 x 8"),
    ] as [([String], String)])
  func refusals(_ variants: [String], _ words: String) throws {
    let error = try #require(throws: InputError.self) { try plan(variants) }
    #expect("\(error)".contains(words), "\(error)")
  }

  @Test("takes as many samples in other groups, and refuses more seeds than there are")
  func limits() throws {
    #expect(throws: Never.self) { try plan(["x:", "y:rollout.group_size=8 rollout.prompts_per_step=3"]) }
    let error = #expect(throws: InputError.self) { try plan(seeds: 3, ["run.seed=\(UInt64.max - 1)"]) }
    #expect(error?.place == "run.seed")
  }
}

@Suite("The table of an ablation")
struct AblationTableTests {
  private func table() -> AblationTable {
    AblationTable(
      [
        .init(
          "grpo", runs: [1: [Figure("accuracy", 0.5), Figure("wall time, s", 100)], 2: [Figure("accuracy", 0.7)]]),
        .init(
          "uadt", runs: [1: [Figure("accuracy", 0.6)], 2: [Figure("accuracy", 0.8)], 3: [Figure("accuracy", 0.1)]]),
        .init("late", runs: [:]),
      ], start: [Figure("accuracy", 0.4)])
  }

  @Test("has means, gains over the start, and differences of equal seeds")
  func sections() throws {
    let table = table()
    #expect(table.sections.map(\.title) == ["mean over seeds", "gain over the start", "minus grpo, seed by seed"])
    let means = try #require(table.sections[0].rows.first)
    #expect(means.measure == "accuracy")
    #expect(means.start == 0.4)
    #expect(means.spreads.map { $0?.count } == [2, 3, nil])
    #expect(isNear(means.spreads[1]?.mean, 0.5))
    let gains = try #require(table.sections[1].rows.first)
    #expect(isNear(gains.spreads[0]?.mean, 0.2))
    // Seed 3 has no partner.
    let difference = try #require(table.sections[2].rows.first)
    #expect(difference.spreads[0] == nil)
    #expect(difference.spreads[2] == nil)
    let spread = try #require(difference.spreads[1])
    #expect(spread.count == 2)
    #expect(isNear(spread.mean, 0.1))
    #expect(isNear(spread.deviation, 0))
    #expect(table.sections[2].rows.last?.spreads == [nil, nil, nil])
  }

  @Test("reads as text, as Markdown and as JSON")
  func texts() throws {
    let table = table()
    #expect(
      table.lines.prefix(4) == [
        "mean over seeds",
        "  measure       start  grpo, 2 seeds                  uadt, 3 seeds                  late, 0 seeds",
        "  accuracy      0.400  0.600 ± 0.141 [-0.671, 1.871]  0.500 ± 0.361 [-0.396, 1.396]  -",
        "  wall time, s  -      100.0                          -                              -",
      ])
    #expect(table.lines.contains { $0.hasPrefix("  accuracy  +0.200 ± 0.141 [-1.071, +1.471]") })
    #expect(table.lines.contains { $0.hasPrefix("  accuracy      +0.100 ± 0.000 [+0.100, +0.100]") })
    #expect(table.markdown.contains("| measure | start | grpo, 2 seeds | uadt, 3 seeds | late, 0 seeds |\n| --- |"))
    #expect(table.markdown.contains("| measure | uadt, 2 seeds |"))
    let json = try JSON.parse(table.json.serialized(), place: "table")
    #expect(json["variants"]?.array?.map { $0["runs"]?.array?.count } == [2, 3, 0])
    #expect(json["variants"]?.array?[0]["runs"]?.array?[1]["figures"]?["accuracy"]?.double == 0.7)
    let value = json["sections"]?.array?[0]["rows"]?.array?[0]["values"]?.array?[0]
    #expect(value?["seeds"]?.int == 2)
    #expect(isNear(value?["mean"]?.double, 0.6))
  }

  @Test("of nothing is empty")
  func empty() {
    let table = AblationTable([.init("grpo", runs: [:])], start: [])
    #expect(table.sections.isEmpty)
    #expect(table.lines.count == 1)
  }
}
