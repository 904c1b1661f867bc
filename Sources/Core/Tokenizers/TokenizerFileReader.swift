import Support

/// Reads Hugging Face's tokenizer.json and tokenizer_config.json.
///
/// A tokenizer.json describes a pipeline (normalizer, pre-tokenizer, model, post-processor, decoder). What a byte-level
/// BPE is made of is read; anything else that would change the ids is refused by name, never ignored. Truncation and
/// padding, which concern the making of batches, are ignored.
package struct TokenizerFileReader {
  package static let fileNames: Set<String> = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]

  private let root: JSON
  private let config: JSON
  private let template: [UInt8]?
  private let place: String
  private let configPlace: String

  /// - Parameters:
  ///   - files: by name; tokenizer.json must be there.
  ///   - place: names the folder in errors.
  /// - Throws: `InputError` for a missing file and for what is not JSON.
  package init(files: [String: [UInt8]], place: String) throws {
    self.place = "\(place)/tokenizer.json"
    let configPlace = "\(place)/tokenizer_config.json"
    self.configPlace = configPlace
    guard let bytes = files["tokenizer.json"] else {
      throw InputError("read tokenizer", at: place, expected: "a file tokenizer.json", found: "none")
    }
    root = try JSON.parse(bytes, place: self.place)
    config = try files["tokenizer_config.json"].map { try JSON.parse($0, place: configPlace) } ?? .object([:])
    template = files["chat_template.jinja"]
  }

  package func definition() throws -> TokenizerDefinition {
    let model = try member("model", of: root)
    try checkModel(model)
    let addedTokens = try addedTokens()
    let tokens = try tokens(model.required("vocab", [String: JSON].self, at: "\(place), key model"), addedTokens)
    var definition = TokenizerDefinition(
      tokens: tokens, merges: try merges(model.required("merges", [JSON].self, at: "\(place), key model")),
      preTokenizer: try PipelineReader(place: place).preTokenizer(root["pre_tokenizer"]),
      normalizer: try PipelineReader(place: place).normalizer(root["normalizer"]), addedTokens: addedTokens,
      ignoresMerges: try model.optional("ignore_merges", Bool.self, at: "\(place), key model") ?? false)
    try checkBytes(definition, model)
    try PipelineReader(place: place).checkDecoder(root["decoder"])
    try readConfig(into: &definition)
    try PipelineReader(place: place).postProcessor(root["post_processor"], into: &definition)
    return definition
  }

  private func error(_ key: String, _ expected: String, _ found: String) -> InputError {
    InputError("read tokenizer", at: "\(place), key \(key)", expected: expected, found: found)
  }

  private func member(_ key: String, of json: JSON) throws -> JSON {
    .object(try json.required(key, [String: JSON].self, at: place))
  }

  private func checkModel(_ model: JSON) throws {
    let place = "\(place), key model"
    if let type = try model.optional("type", String.self, at: place), type != "BPE" {
      throw error("model.type", "BPE", type)
    }
    if let dropout = try model.optional("dropout", Double.self, at: place), dropout != 0 {
      throw error("model.dropout", "none", "\(dropout)")
    }
    if try model.optional("byte_fallback", Bool.self, at: place) == true {
      throw error("model.byte_fallback", "false (byte-level BPE has all bytes)", "true")
    }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let affix = try model.optional(key, String.self, at: place), !affix.isEmpty {
        throw error("model.\(key)", "none", affix.debugDescription)
      }
    }
  }

  /// An unknown token stands for bytes that have no token; without such bytes it is never used.
  private func checkBytes(_ definition: TokenizerDefinition, _ model: JSON) throws {
    guard let unknown = try model.optional("unk_token", String.self, at: "\(place), key model") else { return }
    var missing = Set(ByteAlphabet.scalars)
    for token in definition.tokens {
      if let scalar = token.unicodeScalars.first, token.unicodeScalars.count == 1 { missing.remove(scalar) }
    }
    if !missing.isEmpty {
      throw error(
        "model.unk_token", "none, or tokens for all 256 bytes", "\(unknown), and \(missing.count) bytes without token")
    }
  }

  private func tokens(_ vocabulary: [String: JSON], _ addedTokens: [AddedToken]) throws -> [String] {
    var ids: [(Int, String)] = []
    ids.reserveCapacity(vocabulary.count)
    for (token, value) in vocabulary {
      guard let id = value.int, 0..<TokenizerDefinition.tokenCountMax ~= id else {
        throw error(
          "model.vocab[\(token.debugDescription)]", "an id from 0 to \(TokenizerDefinition.tokenCountMax - 1)",
          value.kind)
      }
      if token.isEmpty { throw error("model.vocab", "tokens that are not empty", "an empty one with id \(id)") }
      ids.append((id, token))
    }
    let last = max(ids.lazy.map(\.0).max() ?? -1, addedTokens.lazy.map { Int($0.id) }.max() ?? -1)
    var tokens = [String](repeating: "", count: last + 1)
    for (id, token) in ids {
      guard tokens[id].isEmpty else {
        let pair = [token, tokens[id]].sorted().map(\.debugDescription).joined(separator: " and ")
        throw error("model.vocab", "each id once", "\(id) for \(pair)")
      }
      tokens[id] = token
    }
    for added in addedTokens {
      let id = Int(added.id)
      guard tokens[id].isEmpty || tokens[id].utf8.elementsEqual(added.content.utf8) else {
        throw error(
          "added_tokens", "each id once",
          "\(id) for \(added.content.debugDescription) and for \(tokens[id].debugDescription) of the vocabulary")
      }
      tokens[id] = added.content
    }
    return tokens
  }

  private func merges(_ merges: [JSON]) throws -> [String] {
    try merges.enumerated().map { index, merge in
      if let text = merge.string { return text }
      guard let pair = merge.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string else {
        throw error("model.merges[\(index)]", "\"left right\" or [\"left\", \"right\"]", merge.kind)
      }
      guard !left.utf8.contains(UInt8(ascii: " ")), !right.utf8.contains(UInt8(ascii: " ")) else {
        throw error("model.merges[\(index)]", "tokens of the byte alphabet, which has no space", "a space")
      }
      return "\(left) \(right)"
    }
  }

  private func addedTokens() throws -> [AddedToken] {
    try (root.optional("added_tokens", [JSON].self, at: place) ?? []).enumerated().map { index, token in
      let place = "\(place), key added_tokens[\(index)]"
      let id = try token.required("id", Int.self, at: place)
      guard 0..<TokenizerDefinition.tokenCountMax ~= id else {
        throw error("added_tokens[\(index)].id", "0 to \(TokenizerDefinition.tokenCountMax - 1)", "\(id)")
      }
      func flag(_ key: String) throws -> Bool { try token.optional(key, Bool.self, at: place) ?? false }
      let special = try flag("special")
      return AddedToken(
        id: Int32(id), content: try token.required("content", String.self, at: place), special: special,
        stripsLeft: try flag("lstrip"), stripsRight: try flag("rstrip"), singleWord: try flag("single_word"),
        normalized: try token.optional("normalized", Bool.self, at: place) ?? !special)
    }
  }

  private func readConfig(into definition: inout TokenizerDefinition) throws {
    guard config.object != nil else {
      throw InputError("read tokenizer", at: configPlace, expected: "an object", found: config.kind)
    }
    func id(_ key: String) throws -> Int32? {
      guard let value = config[key], value != .null else { return nil }
      guard let content = value.string ?? value["content"]?.string else {
        throw InputError(
          "read tokenizer", at: "\(configPlace), key \(key)", expected: "a token, or an object with its content",
          found: value.kind)
      }
      let id =
        definition.addedTokens.first { $0.content.utf8.elementsEqual(content.utf8) }?.id
        ?? definition.tokens.firstIndex { $0.utf8.elementsEqual(content.utf8) }.map { Int32($0) }
      // What fills batches or stands for the unknown is not needed here; what opens and closes a text is.
      guard id != nil || key == "pad_token" || key == "unk_token" else {
        throw InputError(
          "read tokenizer", at: "\(configPlace), key \(key)", expected: "a token of tokenizer.json",
          found: content.debugDescription)
      }
      return id
    }
    definition.bosToken = try id("bos_token")
    definition.eosToken = try id("eos_token")
    definition.padToken = try id("pad_token")
    definition.unknownToken = try id("unk_token")
    definition.chatTemplate = try chatTemplate()
  }

  /// One template, or the one named "default" of several; the file chat_template.jinja when there is neither.
  private func chatTemplate() throws -> String? {
    switch config["chat_template"] {
    case .string(let text)?: return text
    case .array(let templates)?:
      let standard = templates.first { $0["name"]?.string == "default" } ?? templates.first
      return standard?["template"]?.string
    case nil, .null?: return template.map { String(decoding: $0, as: UTF8.self) }
    case let other?:
      throw InputError(
        "read tokenizer", at: "\(configPlace), key chat_template", expected: "a string, or an array of templates",
        found: other.kind)
    }
  }
}
