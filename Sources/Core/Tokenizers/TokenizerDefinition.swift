import Support

/// What a byte-level BPE tokenizer is made of, whichever file it came from.
///
/// `TokenizerFileReader` reads it from tokenizer.json, the GGUF loader fills it from metadata, and `Tokenizer` checks
/// it and makes it fast. Tokens are written as the files write them: in GPT-2's alphabet, one printable character a
/// byte (`ByteAlphabet`).

/// A token that is found in the text before anything else is done to it.
public struct AddedToken: Equatable, Sendable {
  public var id: Int32
  /// The text itself, not in the byte alphabet.
  public var content: String
  /// Whether decoding can leave it out.
  public var special: Bool
  /// Takes the white space on its left with it.
  public var stripsLeft: Bool
  /// Takes the white space on its right with it.
  public var stripsRight: Bool
  /// Matches only where no word character touches it.
  public var singleWord: Bool
  /// Is looked for in the normalized text, after the tokens that are not.
  public var normalized: Bool

  public init(
    id: Int32, content: String, special: Bool, stripsLeft: Bool = false, stripsRight: Bool = false,
    singleWord: Bool = false, normalized: Bool = false
  ) {
    self.id = id
    self.content = content
    self.special = special
    self.stripsLeft = stripsLeft
    self.stripsRight = stripsRight
    self.singleWord = singleWord
    self.normalized = normalized
  }
}

/// What is done to the text between added tokens before it is split.
public enum TextNormalizer: Equatable, Sendable {
  case none
  /// Unicode's canonical composition.
  case nfc
}

/// Cuts text into the words inside which merges happen.
///
/// Every step cuts each piece that the step before left; the pieces of the last step are the words.
public struct PreTokenizer: Equatable, Sendable {
  public enum Step: Equatable, Sendable {
    /// Numeric characters become pieces: each one, or each run of them.
    case digits(individual: Bool)
    /// Matches and what lies between them become pieces.
    case split(pattern: String)
    /// Only the matches become pieces; what lies between them is dropped.
    case keep(pattern: String)
    /// Only what lies between matches becomes pieces.
    case drop(pattern: String)
  }

  public var steps: [Step]
  /// Puts a space before each piece of the last step that does not start with one.
  public var addsPrefixSpace: Bool
  /// Whether GPT-2's pattern splits what the steps left.
  public var splitsAsGPT2: Bool

  public init(steps: [Step] = [], addsPrefixSpace: Bool = false, splitsAsGPT2: Bool = false) {
    self.steps = steps
    self.addsPrefixSpace = addsPrefixSpace
    self.splitsAsGPT2 = splitsAsGPT2
  }

  /// Source: the pattern of OpenAI's GPT-2 encoder.
  public static let patternGPT2 =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
  /// Source: pre_tokenizer of Llama 3's tokenizer.json.
  public static let patternLlama3 =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"#
    + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  /// Source: pre_tokenizer of Qwen2's tokenizer.json.
  public static let patternQwen2 =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"#
    + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

  public static let gpt2 = PreTokenizer(splitsAsGPT2: true)
  public static let smollm = PreTokenizer(steps: [.digits(individual: true)], splitsAsGPT2: true)
  public static let llama3 = PreTokenizer(steps: [.split(pattern: patternLlama3)])
  public static let qwen2 = PreTokenizer(steps: [.split(pattern: patternQwen2)])
}

/// A tokenizer as a value; `Tokenizer.init(definition:)` says what makes it a valid one.
public struct TokenizerDefinition: Equatable, Sendable {
  /// Index is id; in the byte alphabet, added tokens as they are. An id that has no token is "".
  public var tokens: [String]
  /// "left right", most preferred first.
  public var merges: [String]
  public var preTokenizer: PreTokenizer
  public var normalizer: TextNormalizer
  public var addedTokens: [AddedToken]
  /// Whether a word that is a token as a whole is taken as it is, without merges (Llama 3).
  public var ignoresMerges: Bool
  public var bosToken: Int32?
  public var eosToken: Int32?
  public var padToken: Int32?
  public var unknownToken: Int32?
  /// Whether `encode(addSpecialTokens: true)` starts with `bosToken`, and ends with `eosToken`.
  public var addBOS: Bool
  public var addEOS: Bool
  /// The Jinja text of the model's files.
  public var chatTemplate: String?

  public init(
    tokens: [String], merges: [String], preTokenizer: PreTokenizer, normalizer: TextNormalizer = .none,
    addedTokens: [AddedToken] = [], ignoresMerges: Bool = false, bosToken: Int32? = nil, eosToken: Int32? = nil,
    padToken: Int32? = nil, unknownToken: Int32? = nil, addBOS: Bool = false, addEOS: Bool = false,
    chatTemplate: String? = nil
  ) {
    self.tokens = tokens
    self.merges = merges
    self.preTokenizer = preTokenizer
    self.normalizer = normalizer
    self.addedTokens = addedTokens
    self.ignoresMerges = ignoresMerges
    self.bosToken = bosToken
    self.eosToken = eosToken
    self.padToken = padToken
    self.unknownToken = unknownToken
    self.addBOS = addBOS
    self.addEOS = addEOS
    self.chatTemplate = chatTemplate
  }

  /// The most ids that a vocabulary may have.
  public static let tokenCountMax = 1 << 22

  /// The definition that GGUF metadata describes: `tokenizer.ggml.pre` names pre-tokenizer, normalizer and whether
  /// whole words ignore merges; `tokenizer.ggml.token_type` says which tokens are added ones (control, user-defined).
  ///
  /// - Parameters:
  ///   - model: `tokenizer.ggml.model`; only "gpt2" is a byte-level BPE.
  ///   - tokenTypes: one a token, or empty.
  ///   - place: names the file in errors.
  /// - Throws: `InputError` for another model, an unknown pre-tokenizer, or another number of types than of tokens.
  public init(
    ggufModel model: String, pre: String, tokens: [String], tokenTypes: [Int32], merges: [String], place: String
  ) throws {
    guard model == "gpt2" else {
      throw InputError(
        "read tokenizer", at: "\(place), key tokenizer.ggml.model", expected: "gpt2 (byte-level BPE)", found: model)
    }
    guard tokenTypes.isEmpty || tokenTypes.count == tokens.count else {
      throw InputError(
        "read tokenizer", at: "\(place), key tokenizer.ggml.token_type",
        expected: "as many as there are tokens, \(tokens.count)", found: "\(tokenTypes.count)")
    }
    guard tokens.count <= Self.tokenCountMax else {
      throw InputError(
        "read tokenizer", at: "\(place), key tokenizer.ggml.tokens", expected: "at most \(Self.tokenCountMax) tokens",
        found: "\(tokens.count)")
    }
    self.init(tokens: tokens, merges: merges, preTokenizer: .gpt2)
    switch pre {
    case "gpt-2": break
    case "smollm": preTokenizer = .smollm
    case "llama3", "llama-v3", "llama-bpe": (preTokenizer, ignoresMerges) = (.llama3, true)
    case "qwen2": (preTokenizer, normalizer) = (.qwen2, .nfc)
    default:
      throw InputError(
        "read tokenizer", at: "\(place), key tokenizer.ggml.pre", expected: "gpt-2, smollm, llama-bpe or qwen2",
        found: pre)
    }
    for (id, type) in tokenTypes.enumerated() where type == 3 || type == 4 {
      addedTokens.append(AddedToken(id: Int32(id), content: tokens[id], special: type == 3))
    }
  }
}

extension TokenizerDefinition {
  /// Checks that added and named tokens are tokens of the vocabulary, each once.
  func checkTokens(place: String) throws {
    func error(_ at: String, _ expected: String, _ found: String) -> InputError {
      InputError("read tokenizer", at: "\(place), \(at)", expected: expected, found: found)
    }
    var seen: Set<Int32> = []
    for token in addedTokens {
      let at = "added token \(token.id)"
      guard tokens.indices.contains(Int(token.id)) else {
        throw error(at, "an id below \(tokens.count)", "\(token.id)")
      }
      guard 1...AddedTokenMatcher.contentCountMax ~= token.content.utf8.count else {
        throw error(
          at, "1 to \(AddedTokenMatcher.contentCountMax) bytes of content", "\(token.content.utf8.count)")
      }
      guard tokens[Int(token.id)].utf8.elementsEqual(token.content.utf8) else {
        throw error(at, "the vocabulary's \(tokens[Int(token.id)].debugDescription)", token.content.debugDescription)
      }
      guard seen.insert(token.id).inserted else { throw error(at, "each added token once", "it again") }
    }
    let named = [("bos", bosToken), ("eos", eosToken), ("pad", padToken), ("unknown", unknownToken)]
    for (name, id) in named {
      if let id, !tokens.indices.contains(Int(id)) {
        throw error("\(name) token", "an id below \(tokens.count)", "\(id)")
      }
    }
  }
}
