import Testing

/// What a person meets first: help, version, and how mistakes are answered. The real binary.
@Suite struct CommandLineTests {
  private let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  @Test("Help lists the commands") func helpListsTheCommands() async throws {
    let result = try await FoveaProcess.run(["help"], in: folder)
    #expect(result.exitCode == 0)
    for command in [
      "train", "coordinator", "learner", "worker", "status", "eval", "generate", "tokenize", "score", "checkpoints",
    ] {
      #expect(result.output.contains("  \(command) "), "help does not list \(command)")
    }
  }

  @Test("A command has help of its own") func aCommandHasHelpOfItsOwn() async throws {
    for words in [["help", "train"], ["train", "--help"]] {
      let result = try await FoveaProcess.run(words, in: folder)
      #expect(result.exitCode == 0, "\(result)")
      #expect(result.output.hasPrefix("usage: fovea train"), "\(result)")
    }
  }

  @Test("The version is printed") func theVersionIsPrinted() async throws {
    let result = try await FoveaProcess.run(["--version"], in: folder)
    #expect(result.exitCode == 0, "\(result)")
    #expect(result.output.hasPrefix("fovea "), "\(result)")
  }

  @Test(
    "A mistake is answered with a suggestion",
    arguments: [
      (["tarin"], "did you mean fovea train?"), (["train", "--confg", "x"], "did you mean --config?"),
      (["status"], "fovea status needs --connect"), (["help", "statsu"], "did you mean fovea status?"),
    ])
  func aMistakeIsAnsweredWithASuggestion(words: [String], hint: String) async throws {
    let result = try await FoveaProcess.run(words, in: folder)
    #expect(result.exitCode == 2, "\(result)")
    #expect(result.errors.contains(hint), "\(result)")
  }
}
