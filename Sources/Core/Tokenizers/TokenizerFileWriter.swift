import Support

/// Writes a definition as the two files that `transformers` opens.
///
/// The class is PreTrainedTokenizerFast, because it takes tokenizer.json as it is; the classes of single models rebuild
/// their own pipeline from the vocabulary.
package struct TokenizerFileWriter {
  private let definition: TokenizerDefinition

  package init(_ definition: TokenizerDefinition) { self.definition = definition }

  /// Those of tokenizer.json and tokenizer_config.json that `files` does not hold.
  package func files(missingFrom files: [String: [UInt8]]) -> [String: [UInt8]] {
    var result: [String: [UInt8]] = [:]
    if files["tokenizer.json"] == nil { result["tokenizer.json"] = tokenizer.serialized(pretty: true) }
    if files["tokenizer_config.json"] == nil { result["tokenizer_config.json"] = config.serialized(pretty: true) }
    return result
  }

  private var tokenizer: JSON {
    .object([
      "version": .string("1.0"), "truncation": .null, "padding": .null,
      "added_tokens": .array(
        definition.addedTokens.sorted { $0.id < $1.id }.map { token in
          .object(Self.flags(token).merging(["id": .integer(Int64(token.id))]) { first, _ in first })
        }),
      "normalizer": definition.normalizer == .nfc ? .object(["type": .string("NFC")]) : .null,
      "pre_tokenizer": preTokenizer, "post_processor": postProcessor,
      "decoder": Self.byteLevel(addsPrefixSpace: true, usesPattern: true), "model": model,
    ])
  }

  private var model: JSON {
    var vocabulary: [String: JSON] = [:]
    for (id, token) in definition.tokens.enumerated() where !token.isEmpty { vocabulary[token] = .integer(Int64(id)) }
    return .object([
      "type": .string("BPE"), "dropout": .null, "unk_token": .null, "continuing_subword_prefix": .null,
      "end_of_word_suffix": .null, "fuse_unk": .bool(false), "byte_fallback": .bool(false),
      "ignore_merges": .bool(definition.ignoresMerges), "vocab": .object(vocabulary),
      "merges": .array(definition.merges.map(JSON.string)),
    ])
  }

  private var preTokenizer: JSON {
    func split(_ pattern: String, _ behavior: String, invert: Bool) -> JSON {
      .object([
        "type": .string("Split"), "pattern": .object(["Regex": .string(pattern)]), "behavior": .string(behavior),
        "invert": .bool(invert),
      ])
    }
    var steps: [JSON] = definition.preTokenizer.steps.map { step in
      switch step {
      case .digits(let individual): .object(["type": .string("Digits"), "individual_digits": .bool(individual)])
      case .split(let pattern): split(pattern, "Isolated", invert: false)
      case .keep(let pattern): split(pattern, "Removed", invert: true)
      case .drop(let pattern): split(pattern, "Removed", invert: false)
      }
    }
    steps.append(
      Self.byteLevel(
        addsPrefixSpace: definition.preTokenizer.addsPrefixSpace, usesPattern: definition.preTokenizer.splitsAsGPT2))
    return steps.count == 1 ? steps[0] : .object(["type": .string("Sequence"), "pretokenizers": .array(steps)])
  }

  private var postProcessor: JSON {
    var around: [String: JSON] = [:]
    func special(_ id: Int32?, _ wanted: Bool) -> [JSON] {
      guard wanted, let content = content(id), let id else { return [] }
      around[content] = .object([
        "id": .string(content), "ids": .array([.integer(Int64(id))]), "tokens": .array([.string(content)]),
      ])
      return [.object(["SpecialToken": .object(["id": .string(content), "type_id": .integer(0)])])]
    }
    func sequence(_ name: String) -> JSON {
      .object(["Sequence": .object(["id": .string(name), "type_id": .integer(0)])])
    }
    let before = special(definition.bosToken, definition.addBOS)
    let behind = special(definition.eosToken, definition.addEOS)
    if around.isEmpty { return Self.byteLevel(addsPrefixSpace: true, usesPattern: true, trimsOffsets: false) }
    let single = before + [sequence("A")] + behind
    return .object([
      "type": .string("TemplateProcessing"), "single": .array(single),
      "pair": .array(single + before + [sequence("B")] + behind), "special_tokens": .object(around),
    ])
  }

  private var config: JSON {
    var members: [String: JSON] = [
      "tokenizer_class": .string("PreTrainedTokenizerFast"), "clean_up_tokenization_spaces": .bool(false),
      "model_max_length": .integer(1_000_000_000),
      "added_tokens_decoder": .object(
        Dictionary(
          definition.addedTokens.map { (String($0.id), JSON.object(Self.flags($0))) }, uniquingKeysWith: { $1 })),
    ]
    let named = [
      ("bos_token", definition.bosToken), ("eos_token", definition.eosToken), ("pad_token", definition.padToken),
      ("unk_token", definition.unknownToken),
    ]
    for (key, id) in named { members[key] = content(id).map(JSON.string) ?? .null }
    if let template = definition.chatTemplate { members["chat_template"] = .string(template) }
    return .object(members)
  }

  private func content(_ id: Int32?) -> String? {
    guard let id, definition.tokens.indices.contains(Int(id)) else { return nil }
    return definition.tokens[Int(id)]
  }

  private static func flags(_ token: AddedToken) -> [String: JSON] {
    [
      "content": .string(token.content), "single_word": .bool(token.singleWord), "lstrip": .bool(token.stripsLeft),
      "rstrip": .bool(token.stripsRight), "normalized": .bool(token.normalized), "special": .bool(token.special),
    ]
  }

  private static func byteLevel(addsPrefixSpace: Bool, usesPattern: Bool, trimsOffsets: Bool = true) -> JSON {
    .object([
      "type": .string("ByteLevel"), "add_prefix_space": .bool(addsPrefixSpace), "trim_offsets": .bool(trimsOffsets),
      "use_regex": .bool(usesPattern),
    ])
  }
}
