import Foundation
import Testing

/// Whatever is wrong with a file, a person gets one line that says where, and exit code 1; nothing traps, nothing
/// hangs, and no run directory is made.
@Suite struct BrokenInputTests {
  /// What is done to a good folder (settings.yaml, model/, text.txt), and who reads it.
  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    /// Words that follow `fovea`.
    var command: String
    /// What the complaint names.
    var word: String
    var damage: @Sendable (TemporaryFolder) throws -> Void
    var testDescription: String { name }

    init(
      _ name: String, _ command: String, names word: String,
      _ damage: @escaping @Sendable (TemporaryFolder) throws -> Void
    ) {
      (self.name, self.command, self.word, self.damage) = (name, command, word, damage)
    }
  }

  private static let train = "train --config settings.yaml --run-directory run"
  private static let gsm8k = train + " task.name=gsm8k task.train_file=data.jsonl"
  private static let reasoning = train + " task.name=mm_retinal_reason task.train_file=data.json"
  private static let score = "score --model model --text text.txt --threads 1"
  private static let weights = "model/model.safetensors"

  private static func write(_ text: String, to name: String) -> @Sendable (TemporaryFolder) throws -> Void {
    { try $0.write(text, to: name) }
  }

  /// A file of one row of MM-Retinal-Reason.
  private static func row(
    images: [String], answer: String = "B"
  ) -> @Sendable (TemporaryFolder) throws -> Void {
    let names = images.map { "\"\($0)\"" }.joined(separator: ", ")
    return write(
      """
      [{"image": [\(names)], "reason": "So.", "conversations": [
        {"from": "human", "value": "Which? A. One B. Two"}, {"from": "gpt", "value": "\(answer)"}]}]
      """, to: "data.json")
  }

  private static func remove(_ name: String) -> @Sendable (TemporaryFolder) throws -> Void {
    { try FileManager.default.removeItem(atPath: "\($0.path)/\(name)") }
  }

  private static func edit(
    _ name: String, _ change: @escaping @Sendable (inout Data) -> Void
  ) -> @Sendable (TemporaryFolder) throws -> Void {
    { folder in
      let url = URL(fileURLWithPath: "\(folder.path)/\(name)")
      var data = try Data(contentsOf: url)
      change(&data)
      try data.write(to: url)
    }
  }

  private static func replace(_ old: String, _ new: String, in name: String)
    -> @Sendable (TemporaryFolder) throws -> Void
  {
    edit(name) { data in
      let text = String(decoding: data, as: UTF8.self)
      precondition(text.contains(old), "\(name) has no \(old)")
      data = Data(text.replacingOccurrences(of: old, with: new).utf8)
    }
  }

  static let cases: [Case] = [
    Case("settings that are not there", "train --config none.yaml", names: "none.yaml") { _ in },
    Case("settings that are no YAML", train, names: "settings.yaml", write("run: [", to: "settings.yaml")),
    Case("an unknown setting", train, names: "run.steps", write("run: {stesp: 1}", to: "settings.yaml")),
    Case("a word for a number", train, names: "run.steps", write("run: {steps: many}", to: "settings.yaml")),
    Case(
      "settings of random bytes", train, names: "settings.yaml",
      edit("settings.yaml") { $0 = Data((0...255).reversed()) }),
    Case("an impossible combination", train + " algorithm.updates_per_step=3", names: "updates_per_step") { _ in },
    Case("data that is not there", gsm8k, names: "data.jsonl") { _ in },
    Case("data that is no JSON", gsm8k, names: "data.jsonl", write("{\"question\": \n", to: "data.jsonl")),
    Case("a row without an answer", gsm8k, names: "answer", write("{\"question\": \"2 + 2?\"}\n", to: "data.jsonl")),
    Case("an empty data file", gsm8k, names: "data.jsonl", write("", to: "data.jsonl")),
    Case(
      "a question about seven images", reasoning, names: "row 0: image: expected 1 to 6 images, found 7",
      row(images: (1...7).map { "\($0).png" })),
    Case(
      "a question about an image that is not there", reasoning, names: "row 0: image[0]",
      row(images: ["none.png"])),
    Case(
      "a question about a file that is no image", reasoning, names: "row 0: image[0]", row(images: ["text.txt"])),
    Case(
      "a letter that no option has", reasoning,
      names: "conversations[1].value: expected option letters, A to B, each once, found D",
      row(images: ["text.txt"], answer: "D")),
    Case(
      "an empty answer", reasoning, names: "conversations[1].value: expected an answer, found an empty answer block",
      row(images: ["text.txt"], answer: "<answer> </answer>")),
    Case("a model that is not there", train + " model.path=none", names: "none") { _ in },
    Case("a model without config.json", train, names: "config.json", remove("model/config.json")),
    Case("a config.json that is no JSON", train, names: "config.json", write("{", to: "model/config.json")),
    Case("a model of another family", train, names: "model_type", replace("llama", "mamba", in: "model/config.json")),
    Case(
      "a tokenizer.json that is no tokenizer", train, names: "tokenizer.json", write("[]", to: "model/tokenizer.json")),
    Case("a model without a tokenizer", train, names: "tokenizer.json", remove("model/tokenizer.json")),
    Case("a GGUF file of text", train + " model.path=text.txt", names: "text.txt") { _ in },
    Case(
      "weights that are cut short", score, names: "model.safetensors", edit(weights) { $0.removeLast($0.count / 3) }),
    Case("weights with a wild header", score, names: "model.safetensors", edit(weights) { $0[7] = 0x7F }),
    Case("weights of another shape", score, names: "hidden_size", write(wide, to: "model/config.json")),
    Case("weights that are not there", score, names: "safetensors", remove(weights)),
    Case("a checkpoint of nothing", "checkpoints none", names: "none") { _ in },
  ]

  private static let wide = """
    {"model_type": "llama", "vocab_size": 258, "hidden_size": 1000000000000, "intermediate_size": 48,
     "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    """

  @Test("One line says what is wrong", .timeLimit(.minutes(1)), arguments: cases)
  func oneLineSaysWhatIsWrong(_ broken: Case) async throws {
    let folder = try TemporaryFolder()
    try TinyModel.write(to: folder.path + "/model")
    try folder.write("model: {path: model}\nrun: {steps: 1}\n", to: "settings.yaml")
    try folder.write("Some text to score.\n", to: "text.txt")
    try broken.damage(folder)
    let result = try await FoveaProcess.run(broken.command.split(separator: " ").map(String.init), in: folder)
    #expect(result.exitCode == 1, "\(result)")
    let lines = result.errors.split(separator: "\n")
    #expect(lines.count == 1, "\(result)")
    #expect(lines.first?.hasPrefix("fovea: cannot ") == true, "\(result)")
    #expect(result.errors.contains(broken.word), "\(result)")
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/run"))
  }
}
