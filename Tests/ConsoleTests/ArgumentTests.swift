import Console
import Testing

// Command lines, and the errors for wrong ones.

private let command = CommandSpecification(
  "train", "Trains.",
  options: [
    .option("config", "FILE", "Settings.", required: true), .option("steps", "N", "Steps."),
    .option("rate", "R", "Rate."), .flag("dry-run", "Only prints."),
    .list("model", "M", "Models."),
  ],
  operands: .many(name: "KEY=VALUE", summary: "Overrides."))

private func parse(_ line: String) throws -> ParsedArguments {
  try ParsedArguments(line.split(separator: " ").map(String.init), for: command)
}

@Suite struct ArgumentTests {
  @Test("Options, flags and operands are sorted")
  func optionsFlagsAndOperandsAreSorted() throws {
    let parsed = try parse("--config a.yaml run.steps=3 --dry-run --steps=4 x=--y --rate -0.5 -- --config")
    #expect(parsed["config"] == "a.yaml")
    #expect(parsed.has("dry-run"))
    #expect(try parsed.integer("steps", in: 1...10) == 4)
    #expect(try parsed.number("rate", in: -1...1) == -0.5)
    #expect(parsed.operands == ["run.steps=3", "x=--y", "--config"])
  }

  @Test("A list takes every value in order")
  func aListTakesEveryValueInOrder() throws {
    let parsed = try parse("--model b --config a --model=a --model b")
    #expect(parsed.all("model") == ["b", "a", "b"])
    #expect(parsed["model"] == "b")
    #expect(try parse("--config a").all("model").isEmpty)
  }

  @Test("An earlier name of an option is accepted and not shown")
  func anEarlierNameOfAnOptionIsAcceptedAndNotShown() throws {
    let command = CommandSpecification(
      "worker", "Samples.", options: [.option("timeout", "SECONDS", "Timeout.", aliases: ["patience"])])
    func timeout(_ words: String...) throws -> Double? {
      try ParsedArguments(words, for: command).number("timeout", in: 0...9)
    }
    #expect(try timeout("--patience", "3") == 3)
    #expect(try timeout("--timeout=4") == 4)
    #expect(throws: UsageError("--timeout is given twice")) { try timeout("--timeout", "3", "--patience", "4") }
    let help = command.help.joined(separator: "\n")
    #expect(help.contains("--timeout SECONDS"))
    #expect(!help.contains("patience"))
  }

  @Test("An option that was not given is nil")
  func anOptionThatWasNotGivenIsNil() throws {
    let parsed = try parse("--config a")
    #expect(parsed["steps"] == nil)
    #expect(try parsed.integer("steps", in: 1...10) == nil)
    #expect(!parsed.has("dry-run"))
  }

  @Test(
    "A wrong command line is refused with a hint",
    arguments: [
      ("--confg a", "fovea train has no option --confg\n  did you mean --config?"),
      ("--config a --dryrun", "fovea train has no option --dryrun\n  did you mean --dry-run?"),
      ("--config a --zzzzz=3", "fovea train has no option --zzzzz\n  fovea help train lists its options"),
      ("--config a -c", "fovea train has no option -c\n  fovea help train lists its options"),
      ("--config", "--config needs a value: --config FILE"),
      ("--config a --config b", "--config is given twice"),
      ("--config a --dry-run=yes", "--dry-run takes no value"),
      ("", "fovea train needs --config FILE\n  fovea help train shows how it is used"),
    ])
  func aWrongCommandLineIsRefusedWithAHint(line: String, message: String) {
    let error = #expect(throws: UsageError.self) { try parse(line) }
    #expect(error?.description == message)
  }

  @Test("An integer outside its range is refused", arguments: ["three", "0", "11", "1.5", "99999999999999999999", ""])
  func anIntegerOutsideItsRangeIsRefused(text: String) throws {
    let parsed = try ParsedArguments(["--config", "a", "--steps", text], for: command)
    let error = #expect(throws: UsageError.self) { try parsed.integer("steps", in: 1...10) }
    #expect(error?.message == "--steps takes a whole number, 1 to 10, not \"\(text)\"")
  }

  @Test("A number outside its range is refused", arguments: ["nan", "inf", "2", "x"])
  func aNumberOutsideItsRangeIsRefused(text: String) throws {
    let parsed = try ParsedArguments(["--config", "a", "--rate", text], for: command)
    #expect(throws: UsageError.self) { try parsed.number("rate", in: 0...1) }
  }

  @Test(
    "A wrong number of operands is refused",
    arguments: [
      (OperandSpecification.none, ["a"]), (.one(name: "RUN", summary: ""), []),
      (.one(name: "RUN", summary: ""), ["a", "b"]), (.optional(name: "RUN", summary: ""), ["a", "b"]),
    ])
  func aWrongNumberOfOperandsIsRefused(operands: OperandSpecification, words: [String]) {
    let command = CommandSpecification("checkpoints", "Lists.", operands: operands)
    #expect(throws: UsageError.self) { try ParsedArguments(words, for: command) }
  }

  @Test(
    "A misspelt word finds its nearest",
    arguments: [
      ("tarin", "train"), ("staus", "status"), ("gen", "generate"), ("xyzzy", nil), ("", nil), ("t", nil),
    ])
  func aMisspeltWordFindsItsNearest(word: String, expected: String?) {
    #expect(nearest(to: word, among: ["train", "status", "generate", "tokenize"]) == expected)
  }

  @Test("Help shows usage, options and operands")
  func helpShowsUsageOptionsAndOperands() {
    #expect(
      command.help == [
        "usage: fovea train --config FILE [options] [KEY=VALUE ...]",
        "",
        "Trains.",
        "",
        "  [KEY=VALUE ...]  Overrides.",
        "  --config FILE    Settings. Required.",
        "  --steps N        Steps.",
        "  --rate R         Rate.",
        "  --dry-run        Only prints.",
        "  --model M        Models.",
      ])
  }
}
