import Support

/// Reads the parts of tokenizer.json that stand around the model: normalizer, pre-tokenizer, post-processor, decoder.
///
/// Each is null, one object with a `type`, or a Sequence of such objects.
struct PipelineReader {
  /// Names tokenizer.json in errors.
  let place: String

  func normalizer(_ json: JSON?) throws -> TextNormalizer {
    var result = TextNormalizer.none
    for (type, _, key) in try parts(of: json, "normalizer", list: "normalizers") {
      guard type == "NFC" else { throw error("\(key).type", "NFC, or no normalizer", type) }
      result = .nfc
    }
    return result
  }

  func preTokenizer(_ json: JSON?) throws -> PreTokenizer {
    var result = PreTokenizer()
    let parts = try parts(of: json, "pre_tokenizer", list: "pretokenizers")
    guard parts.last?.type == "ByteLevel" else {
      throw error("pre_tokenizer", "ByteLevel as the last step", parts.last?.type ?? "none")
    }
    for (index, (type, part, key)) in parts.enumerated() {
      let place = "\(place), key \(key)"
      switch type {
      case "ByteLevel" where index == parts.count - 1:
        result.addsPrefixSpace = try part.required("add_prefix_space", Bool.self, at: place)
        result.splitsAsGPT2 = try part.optional("use_regex", Bool.self, at: place) ?? true
      case "Digits":
        result.steps.append(.digits(individual: try part.required("individual_digits", Bool.self, at: place)))
      case "Split": result.steps.append(try split(part, key))
      default:
        throw error("\(key).type", "Digits or Split, and then one ByteLevel", type)
      }
    }
    return result
  }

  /// Takes the tokens that a TemplateProcessing puts around a single text.
  func postProcessor(_ json: JSON?, into definition: inout TokenizerDefinition) throws {
    for (type, part, key) in try parts(of: json, "post_processor", list: "processors") {
      if type == "ByteLevel" { continue }
      guard type == "TemplateProcessing" else { throw error("\(key).type", "ByteLevel or TemplateProcessing", type) }
      let single = try part.required("single", [JSON].self, at: "\(place), key \(key)")
      var seenText = false
      for item in single {
        if item["Sequence"] != nil, !seenText {
          seenText = true
        } else if let name = item["SpecialToken"]?["id"]?.string {
          let id = try self.id(of: name, in: part, key, definition)
          if !seenText, !definition.addBOS, definition.bosToken ?? id == id {
            (definition.bosToken, definition.addBOS) = (id, true)
          } else if seenText, !definition.addEOS, definition.eosToken ?? id == id {
            (definition.eosToken, definition.addEOS) = (id, true)
          } else {
            throw error("\(key).single", "bos_token before the text, eos_token behind it, or neither", name)
          }
        } else {
          throw error("\(key).single", "one text and special tokens", item.kind)
        }
      }
      guard seenText else { throw error("\(key).single", "one text and special tokens", "no text") }
    }
  }

  func checkDecoder(_ json: JSON?) throws {
    let parts = try parts(of: json, "decoder", list: "decoders")
    guard parts.count == 1, parts[0].type == "ByteLevel" else {
      throw error("decoder", "ByteLevel", parts.isEmpty ? "none" : parts.map(\.type).joined(separator: ", "))
    }
  }

  private func error(_ key: String, _ expected: String, _ found: String) -> InputError {
    InputError("read tokenizer", at: "\(place), key \(key)", expected: expected, found: found)
  }

  /// The objects that `json` lists, with their types and keys.
  private func parts(of json: JSON?, _ key: String, list: String) throws -> [(type: String, part: JSON, key: String)] {
    guard let json, json != .null else { return [] }
    let type = try json.required("type", String.self, at: "\(place), key \(key)")
    guard type == "Sequence" else { return [(type, json, key)] }
    let members = try json.required(list, [JSON].self, at: "\(place), key \(key)")
    return try members.enumerated().flatMap { try parts(of: $1, "\(key).\(list)[\($0)]", list: list) }
  }

  private func split(_ part: JSON, _ key: String) throws -> PreTokenizer.Step {
    let place = "\(place), key \(key)"
    let pattern: String
    if let regex = part["pattern"]?["Regex"]?.string {
      pattern = regex
    } else if let text = part["pattern"]?["String"]?.string {
      pattern = Self.escaped(text)
    } else {
      throw error("\(key).pattern", "{\"Regex\": ...} or {\"String\": ...}", part["pattern"]?.kind ?? "nothing")
    }
    let behavior = try part.required("behavior", String.self, at: place)
    switch (behavior, try part.optional("invert", Bool.self, at: place) ?? false) {
    case ("Isolated", _): return .split(pattern: pattern)
    case ("Removed", true): return .keep(pattern: pattern)
    case ("Removed", false): return .drop(pattern: pattern)
    default: throw error("\(key).behavior", "Isolated or Removed", behavior)
    }
  }

  /// A pattern that matches the text itself.
  private static func escaped(_ text: String) -> String {
    text.unicodeScalars.map { scalar in
      scalar.isASCII && !scalar.properties.isAlphabetic && !(0x30...0x39 ~= scalar.value) && scalar.value > 0x20
        ? "\\\(scalar)" : "\(scalar)"
    }.joined()
  }

  private func id(
    of name: String, in part: JSON, _ key: String, _ definition: TokenizerDefinition
  ) throws -> Int32 {
    guard let ids = part["special_tokens"]?[name]?["ids"]?.array, ids.count == 1, let id = ids[0].int,
      definition.tokens.indices.contains(id)
    else {
      throw error("\(key).special_tokens.\(name)", "one id of the vocabulary", "another")
    }
    return Int32(id)
  }
}
