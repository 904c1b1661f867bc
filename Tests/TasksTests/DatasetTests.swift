import Foundation
import Prompts
import Support
import Tasks
import Testing

/// A file that is removed at the end.
private final class TemporaryFile: Sendable {
  let path: String
  convenience init(_ text: String) throws { try self.init(bytes: Array(text.utf8)) }
  init(bytes: [UInt8]) throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("fovea-\(UUID().uuidString).jsonl").path
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

private func question(_ prompt: Prompt) -> String { prompt.messages.last?.content ?? "" }

@Suite struct ArithmeticTests {
  @Test("The default prompt is short and carries the format")
  func theDefaultPromptIsShortAndCarriesTheFormat() throws {
    let prompt = try makeDataset(TaskSettings(), seed: 1).trainingPrompt(at: 0)
    #expect(prompt.messages.map(\.role) == ["system", "user", "assistant", "user", "assistant", "user"])
    #expect(prompt.messages.map(\.content.utf8.count).reduce(0, +) < 200)
    #expect(prompt.reward.kind == "number")
    #expect(prompt.reward.weights == ["accuracy": 1, "format": 0.1])
    for (asked, answered) in [(prompt.messages[1], prompt.messages[2]), (prompt.messages[3], prompt.messages[4])] {
      let (left, right) = (asked.content, answered.content)
      #expect(right.hasPrefix("<think>\(left) = "))
      let value = right.dropFirst("<think>\(left) = ".count).prefix { $0 != "<" }
      #expect(Scorer.score(text: right, .init(kind: "number", reference: String(value))).accuracy == 1)
      #expect(Scorer.score(text: right, .init(kind: "number", reference: String(value))).format == 1)
    }
  }

  /// Works a problem out in another way than the dataset does: products first, then left to right.
  private func value(_ text: String) -> Int {
    let words = text.split(separator: " ")
    var sums: [Int] = []
    var sign = 1
    var index = 0
    while index < words.count {
      var product = Int(words[index])!
      while index + 1 < words.count, words[index + 1] == "*" {
        product *= Int(words[index + 2])!
        index += 2
      }
      sums.append(sign * product)
      if index + 1 < words.count { sign = words[index + 1] == "-" ? -1 : 1 }
      index += 2
    }
    return sums.reduce(0, +)
  }

  @Test(
    "Problems have their size and the right answer",
    arguments: [(2, 20, "+-"), (3, 9, "+-*"), (8, 100, "*+"), (5, 3, "-"), (2, 1_000_000, "*")])
  func problemsHaveTheirSizeAndTheRightAnswer(_ terms: Int, _ largest: Int, _ operations: String) throws {
    var settings = TaskSettings()
    settings[ArithmeticOptions.self].terms = terms
    settings[ArithmeticOptions.self].largestOperand = largest
    settings[ArithmeticOptions.self].operations = operations
    let dataset = try makeDataset(settings, seed: 3)
    for cursor in UInt64(0)..<200 {
      let prompt = dataset.trainingPrompt(at: cursor)
      let words = question(prompt).split(separator: " ")
      let operands = stride(from: 0, to: words.count, by: 2).map { Int(words[$0])! }
      #expect(operands.count == terms)
      #expect(operands.allSatisfy { (1...largest).contains($0) })
      #expect(stride(from: 1, to: words.count, by: 2).allSatisfy { operations.contains(words[$0]) })
      #expect(prompt.reward.reference == "\(value(question(prompt)))")
      #expect(prompt.id == cursor)
    }
  }

  @Test("No held-out problem and no example is trained on")
  func noHeldOutProblemAndNoExampleIsTrainedOn() throws {
    var settings = TaskSettings()
    settings[ArithmeticOptions.self].largestOperand = 6
    let dataset = try makeDataset(settings, seed: 5)
    let heldOut = Set((0..<dataset.heldOutCount).map { question(dataset.heldOutPrompt(at: $0)) })
    #expect(heldOut.count == dataset.heldOutCount)
    let training = Set((0..<UInt64(5000)).map { question(dataset.trainingPrompt(at: $0)) })
    let examples = Set(dataset.trainingPrompt(at: 0).messages.dropLast().filter { $0.role == "user" }.map(\.content))
    #expect(examples.count == 2)
    #expect(training.isDisjoint(with: heldOut))
    #expect(training.isDisjoint(with: examples))
    #expect(examples.isDisjoint(with: heldOut))
    // 6 * 6 * 2 problems in all, and nothing is lost between the splits.
    #expect(training.count + heldOut.count + examples.count == 72)
  }

  @Test("The seed chooses the training prompts and never the split")
  func theSeedChoosesTheQuestionsAndNeverTheSplit() throws {
    let (a, b, again) = try (
      makeDataset(TaskSettings(), seed: 1), makeDataset(TaskSettings(), seed: 2), makeDataset(TaskSettings(), seed: 1)
    )
    let cursors = (0..<UInt64(50)).map { $0 + (UInt64(1) << 32) - 25 }
    #expect(cursors.map { a.trainingPrompt(at: $0) } == cursors.map { again.trainingPrompt(at: $0) })
    #expect(cursors.map { question(a.trainingPrompt(at: $0)) } != cursors.map { question(b.trainingPrompt(at: $0)) })
    #expect(a.heldOutCount == b.heldOutCount)
    #expect(a.heldOutCount > 40)
    #expect((0..<a.heldOutCount).allSatisfy { a.heldOutPrompt(at: $0) == b.heldOutPrompt(at: $0) })
  }

  @Test("The wording is data")
  func theWordingIsData() throws {
    var settings = TaskSettings()
    settings.systemPrompt = "S"
    settings.questionTemplate = "What is {question}?"
    settings.examples = 1
    let messages = try makeDataset(settings, seed: 1).trainingPrompt(at: 9).messages
    #expect(messages.map(\.role) == ["system", "user", "assistant", "user"])
    #expect(messages[0].content == "S")
    #expect(messages[3].content.hasPrefix("What is "))
    #expect(messages[3].content.hasSuffix("?"))
    settings.systemPrompt = ""
    settings.examples = 0
    #expect(try makeDataset(settings, seed: 1).trainingPrompt(at: 9).messages.map(\.role) == ["user"])
  }

  @Test(
    "Settings",
    arguments: [
      { (s: inout TaskSettings) in s[ArithmeticOptions.self].terms = 0 },
      { s in s[ArithmeticOptions.self].terms = 1_000_000 },
      { s in s[ArithmeticOptions.self].largestOperand = -1 }, { s in s[ArithmeticOptions.self].operations = "" },
      { s in s[ArithmeticOptions.self].operations = "/" }, { s in s.name = "poetry" }, { s in s.heldOutShare = 0 },
      { s in s.heldOutShare = 1 }, { s in s.heldOutShare = .nan },
      { s in
        s[ArithmeticOptions.self].terms = 8
        s[ArithmeticOptions.self].largestOperand = 1_000_000
        s[ArithmeticOptions.self].operations = "*"
      },
      { s in
        s[ArithmeticOptions.self].largestOperand = 2
        s[ArithmeticOptions.self].operations = "+"
        s.examples = 16
      },
    ] as [@Sendable (inout TaskSettings) -> Void])
  func impossibleTasksAreRefused(_ change: @Sendable (inout TaskSettings) -> Void) {
    var settings = TaskSettings()
    change(&settings)
    #expect(throws: InputError.self) { try makeDataset(settings, seed: 1) }
  }
}

@Suite struct QuestionFileTests {
  private func settings(_ name: String, _ train: String, heldOut: String = "", examples: Int = 0) -> TaskSettings {
    var settings = TaskSettings()
    settings.name = name
    settings.trainFile = train
    settings.heldOutFile = heldOut
    settings.examples = examples
    return settings
  }

  @Test("Every row is asked once an epoch, in a new order each")
  func everyRowIsAskedOnceAnEpochInANewOrder() throws {
    for count in [1, 2, 3, 5, 64, 65, 1000] {
      let rows = (0..<count).map { "{\"question\": \"q\($0)\", \"answer\": \"#### \($0)\"}" }.joined(separator: "\n")
      let train = try TemporaryFile(rows)
      let heldOut = try TemporaryFile("{\"question\": \"h\", \"answer\": \"#### 1\"}\n\n")
      let dataset = try makeDataset(settings("gsm8k", train.path, heldOut: heldOut.path), seed: 8)
      func epoch(_ index: Int) -> [String] {
        (0..<count).map { question(dataset.trainingPrompt(at: UInt64(index * count + $0))) }
      }
      #expect(Set(epoch(0)).count == count)
      #expect(Set(epoch(1)).count == count)
      if count >= 64 {
        #expect(epoch(0) != epoch(1))
        let inPlace = zip(epoch(0), 0...).count { $0 == "q\($1)" }
        #expect(inPlace < 10)
      }
      _ = dataset.trainingPrompt(at: .max)
    }
  }

  @Test("A share is held out by hash, and repeated questions are never on both sides")
  func aShareIsHeldOutByHashAndRepeatedQuestionsAreNeverOnBothSides() throws {
    let rows = (0..<3000).map { "{\"question\": \"q\($0 % 1500)\", \"answer\": \"#### \($0)\"}" }.joined(
      separator: "\r\n")
    let file = try TemporaryFile("\u{FEFF}" + rows)
    let dataset = try makeDataset(settings("gsm8k", file.path), seed: 8)
    let heldOut = Set((0..<dataset.heldOutCount).map { question(dataset.heldOutPrompt(at: $0)) })
    let training = Set((0..<UInt64(3000)).map { question(dataset.trainingPrompt(at: $0)) })
    #expect(heldOut.isDisjoint(with: training))
    #expect(heldOut.union(training).count == 1500)
    #expect((100...200).contains(heldOut.count))
  }

  @Test("Held-out questions are taken out of the training file")
  func heldOutQuestionsAreTakenOutOfTheTrainingFile() throws {
    let train = try TemporaryFile(
      "{\"question\": \"a\", \"answer\": \"#### 1\"}\n{\"question\": \"b\", \"answer\": \"#### 2\"}")
    let heldOut = try TemporaryFile("{\"question\": \"a\", \"answer\": \"#### 1\"}")
    let dataset = try makeDataset(settings("gsm8k", train.path, heldOut: heldOut.path), seed: 8)
    #expect((0..<UInt64(10)).allSatisfy { question(dataset.trainingPrompt(at: $0)) == "b" })
  }

  @Test("The shortest questions with reasoning are the examples")
  func theShortestQuestionsWithReasoningAreTheExamples() throws {
    let train = try TemporaryFile(
      """
      {"question": "A long question indeed", "answer": "It is 2 + 3 = <<2+3=5>>5 in all.\\n#### 5"}
      {"question": "Short?", "answer": "1 + 1 = <<1+1=2>>2\\n#### 2"}
      """)
    let heldOut = try TemporaryFile("{\"question\": \"h\", \"answer\": \"#### 1,000\"}")
    let dataset = try makeDataset(settings("gsm8k", train.path, heldOut: heldOut.path, examples: 1), seed: 8)
    let messages = dataset.heldOutPrompt(at: 0).messages
    #expect(messages[1].content == "Short?")
    #expect(messages[2].content == "<think>1 + 1 = 2</think><answer>2</answer>")
    #expect(question(dataset.trainingPrompt(at: 0)) == "A long question indeed")
    #expect(dataset.heldOutPrompt(at: 0).reward.reference == "1,000")
  }

  @Test(
    "Choices are read and shown",
    arguments: [
      (#"{"question": "Q?", "options": ["x", "y", "z"], "answer": "b"}"#, "single_choice", "B", "Q?\nA. x\nB. y\nC. z"),
      (#"{"question": "Q?", "options": ["x", "y"], "answer": "A,B"}"#, "multiple_choice", "A, B", "Q?\nA. x\nB. y"),
      (
        #"{"question": "Q?", "options": ["x", "y", "z"], "answer": ["C", "A"]}"#, "multiple_choice", "A, C",
        "Q?\nA. x\nB. y\nC. z"
      ),
      (
        #"{"question": "Q?", "options": ["x", "y"], "answer": ["A"], "type": "multiple_choice"}"#, "multiple_choice",
        "A",
        "Q?\nA. x\nB. y"
      ),
      (#"{"question": "Q?", "type": "true_false", "answer": false}"#, "true_false", "B", "Q?\nA. True\nB. False"),
      (#"{"question": "Q?", "type": "true_false", "answer": "True"}"#, "true_false", "A", "Q?\nA. True\nB. False"),
      (
        #"{"question": "Q?", "type": "true_false", "answer": "B", "more": 1}"#, "true_false", "B",
        "Q?\nA. True\nB. False"
      ),
    ])
  func choicesAreReadAndShown(_ row: String, _ kind: String, _ reference: String, _ text: String) throws {
    let file = try TemporaryFile(row)
    let other = try TemporaryFile(#"{"question": "other", "options": ["x", "y"], "answer": "A"}"#)
    let prompt = try makeDataset(settings("multiple_choice", file.path, heldOut: other.path), seed: 1).trainingPrompt(
      at: 0)
    #expect(prompt.reward.kind == kind)
    #expect(prompt.reward.reference == reference)
    #expect(question(prompt) == text)
    let perfect = "<think>x</think><answer>\(reference)</answer>"
    #expect(Scorer.score(text: perfect, prompt.reward).accuracy == 1)
  }

  @Test("Names are read with their aliases")
  func namesAreReadWithTheirAliases() throws {
    let file = try TemporaryFile(
      #"{"question": "Q?", "answer": "papilledema", "aliases": ["choked disc"], "reason": "swollen"}"#)
    let other = try TemporaryFile(#"{"question": "other", "answer": "uveitis"}"#)
    var settings = settings("open_ended", file.path, heldOut: other.path)
    settings.fuzzy = true
    let prompt = try makeDataset(settings, seed: 1).trainingPrompt(at: 0)
    #expect(prompt.reward.kind == "open_ended")
    #expect(Scorer.score(text: "<answer>Choked disc.</answer>", prompt.reward).accuracy == 1)
    #expect(Scorer.score(text: "<answer>disc</answer>", prompt.reward).accuracy > 0)
  }

  static let badRows: [(task: String, row: String, parts: [String])] = [
    ("gsm8k", "{", [":2"]),
    ("gsm8k", "[1]", [":2", "an object", "a list"]),
    ("gsm8k", "{}", [":2: question", "text", "nothing"]),
    ("gsm8k", #"{"question": 5, "answer": "x"}"#, [":2: question", "text", "5"]),
    ("gsm8k", #"{"question": "  ", "answer": "x"}"#, [":2: question", "text"]),
    ("gsm8k", #"{"question": "q"}"#, [":2: answer", "text", "nothing"]),
    ("gsm8k", #"{"question": "q", "answer": "5"}"#, [":2: answer", "####", "5"]),
    ("gsm8k", #"{"question": "q", "answer": "x #### "}"#, [":2: answer", "####"]),
    ("gsm8k", #"{"question": "q", "answer": "x #### five"}"#, [":2: answer", "####", "five"]),
    ("gsm8k", #"{"question": "q", "answer": null}"#, [":2: answer", "null"]),
    ("multiple_choice", #"{"question": "q", "answer": "A"}"#, [":2: options", "a list of 2 to 26 texts", "nothing"]),
    ("multiple_choice", #"{"question": "q", "options": ["x"], "answer": "A"}"#, [":2: options", "a list of 1"]),
    ("multiple_choice", #"{"question": "q", "options": ["x", 5], "answer": "A"}"#, [":2: options", "5"]),
    ("multiple_choice", #"{"question": "q", "options": ["x", " "], "answer": "A"}"#, [":2: options"]),
    ("multiple_choice", #"{"question": "q", "options": {"A": "x"}, "answer": "A"}"#, [":2: options", "an object"]),
    ("multiple_choice", #"{"question": "q", "options": ["x", "y"], "answer": "C"}"#, [":2: answer", "A to B", "C"]),
    ("multiple_choice", #"{"question": "q", "options": ["x", "y"], "answer": "x"}"#, [":2: answer", "A to B"]),
    ("multiple_choice", #"{"question": "q", "options": ["x", "y"], "answer": "A,A"}"#, [":2: answer", "each once"]),
    ("multiple_choice", #"{"question": "q", "options": ["x", "y"], "answer": []}"#, [":2: answer", "a list of 0"]),
    ("multiple_choice", #"{"question": "q", "options": ["x", "y"], "answer": 1}"#, [":2: answer", "1"]),
    (
      "multiple_choice", #"{"question": "q", "options": ["x", "y"], "answer": "A", "type": "essay"}"#,
      [":2: type", "essay"]
    ),
    (
      "multiple_choice", #"{"question": "q", "options": ["x", "y"], "answer": "A,B", "type": "single_choice"}"#,
      [":2: answer", "one letter"]
    ),
    ("multiple_choice", #"{"question": "q", "options": ["x", "y"], "answer": true}"#, [":2: answer", "true"]),
    ("open_ended", #"{"question": "q", "answer": "?!"}"#, [":2: answer", "letters"]),
    ("open_ended", #"{"question": "q", "answer": "x", "aliases": "y"}"#, [":2: aliases", "a list of texts"]),
    ("open_ended", #"{"question": "q", "answer": "x", "aliases": [1]}"#, [":2: aliases", "a list of texts"]),
    ("open_ended", #"{"question": "q", "answer": "x", "reason": 3}"#, [":2: reason", "text", "3"]),
  ]

  @Test("A bad row is named with its line and key", arguments: badRows)
  func aBadRowIsNamedWithItsLineAndKey(_ bad: (task: String, row: String, parts: [String])) throws {
    let file = try TemporaryFile("\n" + bad.row + "\n")
    let error = #expect(throws: InputError.self) { try makeDataset(settings(bad.task, file.path), seed: 1) }
    let message = error?.description ?? ""
    for part in [file.path] + bad.parts { #expect(message.contains(part), "\(message)") }
  }

  @Test("Paths that are no files and rows that never end are refused")
  func filesThatAreNoneAndRowsWithoutEndAreRefused() throws {
    for path in ["", "/nowhere.jsonl", "/", "/dev/zero"] {
      #expect(throws: InputError.self) { try makeDataset(settings("gsm8k", path), seed: 1) }
    }
    let file = try TemporaryFile(bytes: [UInt8](repeating: UInt8(ascii: "x"), count: 3 << 20))
    let error = #expect(throws: InputError.self) { try makeDataset(settings("gsm8k", file.path), seed: 1) }
    #expect(error?.found == "a longer line")
    let empty = try TemporaryFile("\n\n")
    #expect(throws: InputError.self) { try makeDataset(settings("gsm8k", empty.path), seed: 1) }
    let random = try TemporaryFile(bytes: (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 97) })
    #expect(throws: InputError.self) { try makeDataset(settings("gsm8k", random.path), seed: 1) }
  }
}

/// The real GSM8K, in the folder that FOVEA_DATA names.
@Suite struct RealDataTests {
  static let folder = ProcessInfo.processInfo.environment["FOVEA_DATA"].map { URL(fileURLWithPath: $0) }
  static func path(_ name: String) -> String? {
    let path = folder?.appendingPathComponent(name).path
    return path.flatMap { FileManager.default.fileExists(atPath: $0) ? $0 : nil }
  }

  @Test(
    "Every reference answer of GSM8K scores 1 against itself",
    .enabled(if: path("gsm8k_test.jsonl") != nil, "SKIPPED: FOVEA_DATA names no folder with gsm8k_test.jsonl"))
  func everyReferenceAnswerOfGSM8KScoresOneAgainstItself() throws {
    var settings = TaskSettings()
    settings.name = "gsm8k"
    settings.trainFile = try #require(Self.path("gsm8k_train.jsonl"))
    settings.heldOutFile = try #require(Self.path("gsm8k_test.jsonl"))
    let dataset = try makeDataset(settings, seed: 1)
    #expect(dataset.heldOutCount == 1319)
    for index in 0..<dataset.heldOutCount {
      let prompt = dataset.heldOutPrompt(at: index)
      let right = "<think>x</think><answer>#### \(prompt.reward.reference)</answer>"
      let score = Scorer.score(text: right, prompt.reward)
      #expect(score.accuracy == 1, "\(prompt.reward.reference)")
      #expect(score.format == 1, "\(prompt.reward.reference)")
      let wrong = "<think>\(prompt.reward.reference)</think><answer>1\(prompt.reward.reference)</answer>"
      #expect(Scorer.score(text: wrong, prompt.reward).accuracy == 0, "\(prompt.reward.reference)")
    }
    let training = (0..<UInt64(7471)).map { dataset.trainingPrompt(at: $0) }
    #expect(Set(training.map(question)).count == 7471)
    #expect(
      training.allSatisfy { Scorer.score(text: "<answer>\($0.reward.reference)</answer>", $0.reward).accuracy == 1 })
  }
}
