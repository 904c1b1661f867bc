import Foundation
import Support
import Testing
import Tokenizers

/// Malformed tokenizer files: every one is an error that names its place, and none traps.
@Suite("Tokenizer files")
struct TokenizerFileTests {
  /// A path of keys in tokenizer.json, what is put there (nil: nothing), and a word that the error has.
  struct Mistake: Sendable, CustomTestStringConvertible {
    var path: [String]
    var value: JSON?
    var word: String
    var testDescription: String { "\(path.joined(separator: ".")) = \(value?.kind ?? "nothing")" }

    init(_ path: String, _ value: JSON?, _ word: String? = nil) {
      self.path = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
      self.value = value
      self.word = word ?? self.path[0]
    }
  }

  static func object(_ text: String) -> JSON { (try? JSON.parse(Array(text.utf8), place: "test")) ?? .null }
  static func step(_ text: String) -> JSON {
    object(
      #"{"type":"Sequence","pretokenizers":[\#(text),{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}"#
    )
  }

  static let mistakes: [Mistake] = [
    Mistake("model", nil), Mistake("model", .integer(1)), Mistake("model", .array([])),
    Mistake("model/type", .string("Unigram")), Mistake("model/type", .integer(1)),
    Mistake("model/vocab", nil, "vocab"), Mistake("model/vocab", .array([]), "vocab"),
    Mistake("model/vocab", .object([:]), "merge 0"),
    Mistake("model/vocab/ab", .string("x"), "vocab"), Mistake("model/vocab/ab", .number(1.5), "vocab"),
    Mistake("model/vocab/ab", .integer(-1), "vocab"), Mistake("model/vocab/ab", .integer(1 << 40), "vocab"),
    Mistake("model/vocab/ab", .integer(.max), "vocab"), Mistake("model/vocab/ab", .integer(.min), "vocab"),
    Mistake("model/vocab/ab", .integer(97), "97"), Mistake("model/vocab/ab", .integer(258), "258"),
    Mistake("model/vocab/ab", .null, "vocab"), Mistake("model/vocab/", .integer(300), "vocab"),
    Mistake("model/vocab/ab", nil, "merge 0"), Mistake("model/vocab/abc", nil, "merge 1"),
    Mistake("model/merges", nil, "merges"), Mistake("model/merges", .object([:]), "merges"),
    Mistake("model/merges", .array([.integer(1)]), "merges[0]"),
    Mistake("model/merges", .array([.string("")]), "merge 0"),
    Mistake("model/merges", .array([.string("a")]), "merge 0"),
    Mistake("model/merges", .array([.string("a b c")]), "merge 0"),
    Mistake("model/merges", .array([.string("a  b")]), "merge 0"),
    Mistake("model/merges", .array([.string(" b")]), "merge 0"),
    Mistake("model/merges", .array([.string("a zz")]), "merge 0"),
    Mistake("model/merges", .array([.string("a 日")]), "merge 0"),
    Mistake("model/merges", .array([.array([.string("a")])]), "merges[0]"),
    Mistake("model/merges", .array([.array([.string("a"), .integer(2)])]), "merges[0]"),
    Mistake("model/merges", .array([.array([.string("a b"), .string("c")])]), "merges[0]"),
    Mistake("model/dropout", .number(0.1)), Mistake("model/byte_fallback", .bool(true)),
    Mistake("model/byte_fallback", .integer(1)), Mistake("model/continuing_subword_prefix", .string("##")),
    Mistake("model/end_of_word_suffix", .string("</w>")), Mistake("model/ignore_merges", .string("yes")),
    Mistake("normalizer", .object([:])), Mistake("normalizer", .string("NFC")),
    Mistake("normalizer", object(#"{"type":"Lowercase"}"#)),
    Mistake("normalizer", object(#"{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"NFKC"}]}"#)),
    Mistake("normalizer", object(#"{"type":"Sequence"}"#)),
    Mistake("pre_tokenizer", nil), Mistake("pre_tokenizer", .null), Mistake("pre_tokenizer", .array([])),
    Mistake("pre_tokenizer", object(#"{"type":"Whitespace"}"#)),
    Mistake("pre_tokenizer", object(#"{"type":"ByteLevel"}"#)),
    Mistake("pre_tokenizer", object(#"{"type":"Sequence","pretokenizers":[]}"#)),
    Mistake("pre_tokenizer", step(#"{"type":"ByteLevel","add_prefix_space":false}"#)),
    Mistake("pre_tokenizer", step(#"{"type":"Metaspace"}"#)), Mistake("pre_tokenizer", step(#"{"type":"Digits"}"#)),
    Mistake("pre_tokenizer", step(#"{"type":"Split","behavior":"Isolated"}"#)),
    Mistake("pre_tokenizer", step(#"{"type":"Split","pattern":{"Regex":"a"}}"#)),
    Mistake("pre_tokenizer", step(#"{"type":"Split","pattern":{"Regex":"a"},"behavior":"MergedWithNext"}"#)),
    Mistake("pre_tokenizer", step(#"{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"}"#), "split 0"),
    Mistake("pre_tokenizer", step(#"{"type":"Split","pattern":{"Regex":"a\\"},"behavior":"Isolated"}"#), "split 0"),
    Mistake("pre_tokenizer", step(#"{"type":"Split","pattern":{"Regex":"\\C"},"behavior":"Isolated"}"#), "split 0"),
    Mistake(
      "pre_tokenizer",
      step(#"{"type":"Split","pattern":{"Regex":"\#(String(repeating: "a", count: 20_000))"},"behavior":"Isolated"}"#),
      "split 0"),
    Mistake(
      "pre_tokenizer",
      step(#"{"type":"Split","pattern":{"Regex":"((((a{999}){999}){999}){999})"},"behavior":"Isolated"}"#), "split 0"),
    Mistake("decoder", nil), Mistake("decoder", object(#"{"type":"WordPiece"}"#)),
    Mistake("post_processor", object(#"{"type":"BertProcessing"}"#)),
    Mistake("post_processor", object(#"{"type":"TemplateProcessing"}"#)),
    Mistake("post_processor", object(#"{"type":"TemplateProcessing","single":[]}"#)),
    Mistake("post_processor", object(#"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}}]}"#)),
    Mistake(
      "post_processor",
      object(
        #"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}}],"special_tokens":{"x":{"ids":[99999]}}}"#)
    ),
    Mistake("added_tokens", .object([:])), Mistake("added_tokens", .array([.null])),
    Mistake("added_tokens", object(#"[{"id":1}]"#)), Mistake("added_tokens", object(#"[{"content":"x"}]"#)),
    Mistake("added_tokens", object(#"[{"id":-1,"content":"x"}]"#)),
    Mistake("added_tokens", object(#"[{"id":99999999999,"content":"x"}]"#)),
    Mistake("added_tokens", object(#"[{"id":3,"content":"x"}]"#)),
    Mistake("added_tokens", object(#"[{"id":300,"content":""}]"#), "added token"),
    Mistake("added_tokens", object(#"[{"id":300,"content":"x"}]"#), "token 300"),
    Mistake("added_tokens", object(#"[{"id":300,"content":"<x>"},{"id":301,"content":"<x>"}]"#), "token 301"),
    Mistake("added_tokens", object(#"[{"id":300,"content":"<x>"},{"id":300,"content":"<x>"}]"#), "added token 300"),
    Mistake("added_tokens", object(#"[{"id":300,"content":"<x>","special":"yes"}]"#)),
  ]

  @Test("A malformed tokenizer.json is an error that names the place", arguments: mistakes)
  func malformed(mistake: Mistake) {
    let file = TokenizerFixtures.tinyFile { root in
      var json = JSON.object(root)
      json[mistake.path] = mistake.value
      root = json.object ?? [:]
    }
    let error = #expect(throws: InputError.self) { try Tokenizer(files: ["tokenizer.json": file], place: "folder") }
    #expect(error?.place.hasPrefix("folder/tokenizer.json") == true)
    #expect(error?.description.contains(mistake.word) == true, "\(error?.description ?? "")")
  }

  @Test(
    "A malformed tokenizer_config.json is an error that names the key",
    arguments: [
      ("[]", "config"), ("{", "config"), (#"{"bos_token": 1}"#, "bos_token"),
      (#"{"eos_token": "<none>"}"#, "eos_token"),
      (#"{"eos_token": {"text": "a"}}"#, "eos_token"), (#"{"chat_template": 3}"#, "chat_template"),
    ])
  func malformedConfig(config: String, key: String) {
    let files = ["tokenizer.json": TokenizerFixtures.tinyFile(), "tokenizer_config.json": Array(config.utf8)]
    let error = #expect(throws: InputError.self) { try Tokenizer(files: files, place: "folder") }
    #expect(error?.place.hasPrefix("folder/tokenizer_config.json") == true)
    #expect(error?.place.contains(key) == true)
  }

  @Test("A file cut at any byte, or with any byte changed, is an error or a tokenizer, never a trap")
  func damaged() throws {
    let file = TokenizerFixtures.tinyFile()
    var random = RandomStream(seed: 14, purpose: .test)
    for length in stride(from: 0, to: file.count, by: 97) {
      #expect(throws: InputError.self) {
        try Tokenizer(files: ["tokenizer.json": Array(file[..<length])], place: "cut")
      }
    }
    for _ in 0..<300 {
      var damaged = file
      damaged[Int(random.integer(below: UInt64(file.count)))] = UInt8(random.integer(below: 256))
      if let tokenizer = try? Tokenizer(files: ["tokenizer.json": damaged], place: "damaged") {
        #expect(!tokenizer.encode("abc <end> 日本").isEmpty)
      }
    }
    #expect(throws: InputError.self) { try Tokenizer(files: [:], place: "none") }
  }

  @Test("A definition from GGUF metadata is checked as well")
  func definitions() throws {
    func definition(model: String = "gpt2", pre: String = "gpt-2", types: [Int32] = []) throws -> TokenizerDefinition {
      try TokenizerDefinition(
        ggufModel: model, pre: pre, tokens: ["a", "b", "<x>", "ab"], tokenTypes: types, merges: ["a b"], place: "m.gguf"
      )
    }
    let good = try definition(types: [1, 1, 3, 1])
    #expect(try Tokenizer(definition: good).encode("ab<x>a") == [3, 2, 0])
    #expect(throws: InputError.self) { try definition(model: "llama") }
    #expect(throws: InputError.self) { try definition(pre: "mystery") }
    #expect(throws: InputError.self) { try definition(types: [1]) }
    let changes: [(inout TokenizerDefinition) -> Void] = [
      { $0.tokens = [] }, { $0.tokens[3] = "a" }, { $0.tokens[3] = "" }, { $0.merges = ["b a"] }, { $0.bosToken = 4 },
      { $0.eosToken = -1 }, { $0.addedTokens[0].id = 4 }, { $0.addedTokens[0].id = -1 },
      { $0.addedTokens[0].content = "y" },
      { $0.addedTokens += $0.addedTokens }, { $0.preTokenizer = PreTokenizer(steps: [.split(pattern: "[")]) },
    ]
    for (index, change) in changes.enumerated() {
      var bad = good
      change(&bad)
      #expect(throws: InputError.self, "change \(index)") { try Tokenizer(definition: bad, place: "m.gguf") }
    }
  }

  @Test(
    "GGUF's name of a pre-tokenizer means what tokenizer.json describes",
    arguments: [("gpt-2", "gpt2"), ("smollm", "smollm"), ("llama-bpe", "llama3"), ("qwen2", "qwen2")])
  func preTokenizerNames(pre: String, kind: String) throws {
    let read = try TokenizerFixtures.tokenizer(kind).definition
    let named = try TokenizerDefinition(
      ggufModel: "gpt2", pre: pre, tokens: ["a"], tokenTypes: [], merges: [], place: "m.gguf")
    #expect(named.preTokenizer == read.preTokenizer)
    #expect(named.normalizer == read.normalizer)
    #expect(named.ignoresMerges == read.ignoresMerges)
  }

  @Test("A pattern that would backtrack for ever gives up, and the rest stays one word")
  func catastrophicPattern() throws {
    var definition = try Tokenizer(files: ["tokenizer.json": TokenizerFixtures.tinyFile()], place: "tiny").definition
    definition.preTokenizer = PreTokenizer(steps: [.split(pattern: "(a+)+$")])
    let text = String(repeating: "a", count: 60) + "b"
    let tokenizer = try Tokenizer(definition: definition)
    #expect(tokenizer.decode(tokenizer.encode(text)) == text)
  }
}
