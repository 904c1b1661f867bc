import Foundation
import Prompts
import Support
import Tokenizers

/// What `Tests/Fixtures/tokenizer/make_fixtures.py` wrote: the same texts for every tokenizer, and their ids.
enum TokenizerFixtures {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/tokenizer")

  /// The tiny tokenizers that the script trained.
  static let kinds = ["gpt2", "smollm", "llama3", "qwen2", "mixed"]

  /// The texts, as bytes that need not be UTF-8.
  static let texts: [[UInt8]] = (json("strings.json").array ?? []).compactMap { text in
    text.string.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
  }

  static func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: folder.appendingPathComponent(name)))
  }

  static func json(_ name: String) -> JSON {
    (try? JSON.parse(bytes(name), place: name)) ?? .null
  }

  static func tokenizer(_ kind: String) throws -> Tokenizer {
    try Tokenizer(files: ["tokenizer.json": bytes("\(kind).tokenizer.json")], place: kind)
  }

  static func ids(_ json: JSON?) -> [Int32] { (json?.array ?? []).compactMap { $0.int.map { Int32($0) } } }

  /// A chat, from an array of [role, content].
  static func messages(_ json: JSON?) -> [ChatMessage] {
    (json?.array ?? []).compactMap { turn in
      guard let role = turn.array?.first?.string, let content = turn.array?.last?.string else { return nil }
      return ChatMessage(role: role, content: content)
    }
  }

  /// A tokenizer with one token a byte and a few merges, and the changes that a test makes to its file.
  static func tinyFile(_ change: (inout [String: JSON]) -> Void = { _ in }) -> [UInt8] {
    var vocabulary: [String: JSON] = [:]
    for byte in UInt8.min...UInt8.max { vocabulary[ByteAlphabet.encode([byte])] = .integer(Int64(byte)) }
    vocabulary["ab"] = .integer(256)
    vocabulary["abc"] = .integer(257)
    var root: [String: JSON] = [
      "added_tokens": .array([
        .object(["id": .integer(258), "content": .string("<end>"), "special": .bool(true), "normalized": .bool(false)])
      ]),
      "normalizer": .null,
      "pre_tokenizer": .object(["type": .string("ByteLevel"), "add_prefix_space": .bool(false)]),
      "decoder": .object(["type": .string("ByteLevel")]),
      "model": .object([
        "type": .string("BPE"), "vocab": .object(vocabulary),
        "merges": .array([.string("a b"), .array([.string("ab"), .string("c")])]),
      ]),
    ]
    change(&root)
    return JSON.object(root).serialized()
  }
}

extension JSON {
  /// The value at a path of keys, for tests that change one place of a file.
  subscript(path: [String]) -> JSON? {
    get { path.reduce(self) { $0?[$1] } }
    set {
      guard let first = path.first else { return self = newValue ?? .null }
      var members = object ?? [:]
      var inner = members[first] ?? .object([:])
      inner[Array(path.dropFirst())] = newValue
      members[first] = path.count == 1 ? newValue : inner
      self = .object(members)
    }
  }
}
