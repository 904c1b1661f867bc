import Console
import Foundation
import ModelFiles
import Support
import Tokenizers

/// `fovea tokenize`: the token ids of a text.
enum TokenizeCommand: Command {
  static let specification = CommandSpecification(
    "tokenize", "Prints the token ids of a text.",
    options: [
      .option("model", "M", "A Hugging Face folder or a GGUF file.", required: true),
      .option("file", "FILE", "Reads the text from a file instead; broken UTF-8 becomes U+FFFD."),
      .flag("json", "Prints JSON: ids, the text of each token, and the text that they decode to."),
    ],
    operands: .optional(name: "TEXT", summary: "The text."))

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let bytes: [UInt8]
    switch (arguments.operands.first, arguments["file"]) {
    case (let text?, nil): bytes = Array(text.utf8)
    case (nil, let path?):
      bytes = try Files.read(path, operation: "read text", byteCountMax: 256 << 20, acceptsPipes: true)
    default: throw UsageError("fovea tokenize needs either TEXT or --file FILE")
    }
    let tokenizer = try ModelLoader.describe(path: arguments.required("model")).tokenizer
    let ids = tokenizer.encode(bytes: bytes)
    if arguments.has("json") {
      let json = JSON.object([
        "tokens": .array(ids.map { .integer(Int64($0)) }),
        "texts": .array(ids.map { .string(tokenizer.decode([$0])) }),
        "text": .string(tokenizer.decode(ids)),
      ])
      TerminalOutput().write(String(decoding: json.serialized(), as: UTF8.self) + "\n")
    } else {
      TerminalOutput().write(ids.map(String.init).joined(separator: " ") + "\n")
    }
    return .success
  }
}
