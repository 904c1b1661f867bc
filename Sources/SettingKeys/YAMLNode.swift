import CYAML
import Support

/// One node of a YAML document, with the place that errors name.
///
/// Built from libyaml's events, within bounds: settings need a few dozen short lines, so everything that a hostile file
/// could grow by (aliases, nesting, nodes, bytes) is refused beyond limits that no real file reaches.
package struct YAMLNode: Sendable {
  package enum Content: Sendable {
    /// `isPlain`: written without quotes, so that `null`, `true` and numbers mean what they say.
    case scalar(String, isPlain: Bool)
    case sequence([YAMLNode])
    case mapping([(key: String, place: String, value: YAMLNode)])
  }

  package var content: Content
  /// "FILE:LINE:COLUMN"
  package var place: String

  package init(content: Content, place: String) {
    self.content = content
    self.place = place
  }

  package static let byteCountMax = 1 << 20
  package static let depthMax = 8
  package static let nodeCountMax = 10_000

  /// The scalar's text; nil for sequences and mappings.
  package var text: String? { if case .scalar(let text, _) = content { text } else { nil } }

  /// The node's kind, as errors name it.
  package var summary: String {
    switch content {
    case .scalar(let text, let isPlain):
      let short = text.count > 60 ? text.prefix(60) + "..." : text[...]
      return isPlain ? (text.isEmpty ? "nothing" : "\(short)") : "the text \"\(short)\""
    case .sequence: return "a list"
    case .mapping: return "a section"
    }
  }
}

/// Parses one document into nodes.
package struct YAMLParser: ~Copyable {
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private let event: UnsafeMutablePointer<yaml_event_t>
  private let file: String
  private var nodeCount = 0

  /// - Returns: the document's root; nil for an empty document.
  /// - Throws: `InputError` for bad syntax, aliases, duplicate keys, a second document, and everything beyond the
  ///   limits.
  package static func parse(_ bytes: [UInt8], file: String) throws -> YAMLNode? {
    guard bytes.count <= YAMLNode.byteCountMax else {
      throw InputError(
        "read settings", at: file, expected: "at most \(YAMLNode.byteCountMax) bytes", found: "\(bytes.count) bytes")
    }
    return try bytes.withUnsafeBufferPointer { buffer in
      var parser = YAMLParser(file: file)
      yaml_parser_set_input_string(parser.parser, buffer.baseAddress, buffer.count)
      return try parser.document()
    }
  }

  private init(file: String) {
    self.file = file
    parser = .allocate(capacity: 1)
    event = .allocate(capacity: 1)
    event.initialize(to: yaml_event_t())
    parser.initialize(to: yaml_parser_t())
    guard yaml_parser_initialize(parser) == 1 else { fatalError("out of memory for a YAML parser") }
  }

  deinit {
    yaml_event_delete(event)
    yaml_parser_delete(parser)
    event.deallocate()
    parser.deallocate()
  }

  private mutating func document() throws -> YAMLNode? {
    try advance()
    try advance()
    if event.pointee.type == YAML_STREAM_END_EVENT { return nil }
    try advance()
    let root = try node(depth: 0)
    try advance()
    try advance()
    guard event.pointee.type == YAML_STREAM_END_EVENT else {
      throw failure(expected: "one document", found: "a second one")
    }
    return root
  }

  /// Moves to the next event.
  private mutating func advance() throws {
    yaml_event_delete(event)
    guard yaml_parser_parse(parser, event) == 1 else {
      let problem = parser.pointee.problem.map { String(cString: $0) } ?? "unreadable bytes"
      let mark = parser.pointee.problem_mark
      throw InputError("read settings", at: place(mark), expected: "YAML", found: problem)
    }
  }

  /// The node that starts at the current event; ends at its last event.
  private mutating func node(depth: Int) throws -> YAMLNode {
    nodeCount += 1
    guard nodeCount <= YAMLNode.nodeCountMax else {
      throw failure(expected: "at most \(YAMLNode.nodeCountMax) values", found: "more")
    }
    guard depth <= YAMLNode.depthMax else {
      throw failure(expected: "nesting of at most \(YAMLNode.depthMax)", found: "deeper nesting")
    }
    let start = place(event.pointee.start_mark)
    switch event.pointee.type {
    case YAML_SCALAR_EVENT:
      let scalar = event.pointee.data.scalar
      let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
      return YAMLNode(
        content: .scalar(text, isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE), place: start)
    case YAML_SEQUENCE_START_EVENT:
      var items: [YAMLNode] = []
      try advance()
      while event.pointee.type != YAML_SEQUENCE_END_EVENT {
        items.append(try node(depth: depth + 1))
        try advance()
      }
      return YAMLNode(content: .sequence(items), place: start)
    case YAML_MAPPING_START_EVENT:
      return YAMLNode(content: .mapping(try members(depth: depth)), place: start)
    case YAML_ALIAS_EVENT:
      throw failure(expected: "a value", found: "an alias (settings have none; quote text that starts with *)")
    default:
      throw failure(expected: "a value", found: "something else")
    }
  }

  private mutating func members(depth: Int) throws -> [(key: String, place: String, value: YAMLNode)] {
    var members: [(key: String, place: String, value: YAMLNode)] = []
    var placeOfKey: [String: String] = [:]
    try advance()
    while event.pointee.type != YAML_MAPPING_END_EVENT {
      let keyNode = try node(depth: depth + 1)
      guard let key = keyNode.text else {
        throw InputError("read settings", at: keyNode.place, expected: "a key", found: keyNode.summary)
      }
      if let first = placeOfKey[key] {
        throw InputError(
          "read settings", at: keyNode.place, expected: "each key once", found: "\(key) again (first at \(first))")
      }
      placeOfKey[key] = keyNode.place
      try advance()
      members.append((key, keyNode.place, try node(depth: depth + 1)))
      try advance()
    }
    return members
  }

  private func place(_ mark: yaml_mark_t) -> String { "\(file):\(mark.line + 1):\(mark.column + 1)" }

  private func failure(expected: String, found: String) -> InputError {
    InputError("read settings", at: place(event.pointee.start_mark), expected: expected, found: found)
  }
}
