import Support

/// The special tokens that config.json and generation_config.json name.
package struct ConfigTokens: Equatable, Sendable {
  var beginning: Int32?
  /// Every token that ends a completion; the first is the tokenizer's own.
  var ends: [Int32] = []
  var padding: Int32?

  package init(beginning: Int32? = nil, ends: [Int32] = [], padding: Int32? = nil) {
    self.beginning = beginning
    self.ends = ends
    self.padding = padding
  }

  /// The keys of both files.
  var members: [String: JSON] {
    var members: [String: JSON] = [:]
    if let beginning { members["bos_token_id"] = .integer(Int64(beginning)) }
    let ends = ends.map { JSON.integer(Int64($0)) }
    if let first = ends.first { members["eos_token_id"] = ends.count == 1 ? first : .array(ends) }
    if let padding { members["pad_token_id"] = .integer(Int64(padding)) }
    return members
  }

  /// generation_config.json with nothing but these tokens.
  var generationConfig: JSON { .object(members) }
}
