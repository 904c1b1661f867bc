import Prompts
import Support

/// A family of chat templates, recognised from the Jinja text in the model's files.
///
/// There is no Jinja interpreter here: two families cover the models that the farm trains, and what they do to a chat
/// of system, user and assistant turns is short. A template whose turns are written in another way is refused rather
/// than guessed at, and only when a chat is encoded, so that such a model still works on plain text.
package struct ChatTemplate: Equatable, Sendable {
  package enum Family: Equatable, Sendable {
    /// `<|im_start|>role\ncontent<|im_end|>\n`; SmolLM2, Qwen. A chat without a system turn gets the default one.
    case chatML(defaultSystem: String?)
    /// `<|start_header_id|>role<|end_header_id|>\n\ncontent<|eot_id|>`; Llama 3. From 3.1 on, dates open the system
    /// turn.
    case llama3(dates: String?)
  }

  package var family: Family
  /// Whether the template treats `<think>` blocks of assistant turns in a way of its own (Qwen3).
  package var rewritesThinking: Bool

  /// - Parameter text: the Jinja text; nil when the model has none.
  /// - Throws: `InputError` for no template and for an unknown family.
  package init(_ text: String?) throws {
    guard let text else {
      throw InputError("encode chat", at: "chat_template", expected: "a chat template", found: "none")
    }
    let compact = Self.compacted(text)
    rewritesThinking = compact.contains("</think>")
    let turnML = ["message.content", "content"].contains {
      compact.contains("'<|im_start|>'+message.role+''+\($0)+'<|im_end|>")
    }
    let turnLlama3 = compact.contains(
      "'<|start_header_id|>'+message.role+'<|end_header_id|>'+message.content|trim+'<|eot_id|>'")
    if turnML, !compact.contains("bos_token") {
      family = .chatML(defaultSystem: Self.defaultSystem(in: text))
    } else if turnLlama3, compact.contains("bos_token") {
      family = .llama3(dates: try Self.dates(in: text))
    } else {
      throw InputError(
        "encode chat", at: "chat_template", expected: "a template whose turns are ChatML's or Llama 3's",
        found: String(text.prefix(200)).debugDescription)
    }
  }

  /// The text of a chat.
  ///
  /// - Throws: `InputError` for a chat without turns, and for assistant turns that the template would rewrite.
  package func render(_ messages: [ChatMessage], bos: String, addGenerationPrompt: Bool) throws -> String {
    guard let first = messages.first, let last = messages.last else {
      throw InputError("encode chat", at: "messages", expected: "at least one message", found: "none")
    }
    if rewritesThinking, last.role == "assistant" || messages.contains(where: { $0.content.contains("</think>") }) {
      throw InputError(
        "encode chat", at: "messages",
        expected: "no closing assistant turn and no </think>, which the template rewrites",
        found: "one")
    }
    var text: String
    switch family {
    case .chatML(let defaultSystem):
      text = ""
      if let defaultSystem, first.role != "system" { text += "<|im_start|>system\n\(defaultSystem)<|im_end|>\n" }
      for message in messages { text += "<|im_start|>\(message.role)\n\(message.content)<|im_end|>\n" }
      if addGenerationPrompt { text += "<|im_start|>assistant\n" }
    case .llama3(let dates):
      func header(_ role: String) -> String { "<|start_header_id|>\(role)<|end_header_id|>\n\n" }
      var turns = messages[...]
      text = bos
      if let dates {
        let system = first.role == "system" ? Self.trimmed(first.content) : ""
        if first.role == "system" { turns = turns.dropFirst() }
        text += header("system") + dates + system + "<|eot_id|>"
      }
      for message in turns { text += header(message.role) + Self.trimmed(message.content) + "<|eot_id|>" }
      if addGenerationPrompt { text += header("assistant") }
    }
    return text
  }

  /// What ends a turn.
  package var turnEnd: String {
    switch family {
    case .chatML: "<|im_end|>"
    case .llama3: "<|eot_id|>"
    }
  }

  /// The template without white space, with one kind of quotes and one way to name a member.
  private static func compacted(_ text: String) -> String {
    String(text.filter { !$0.isWhitespace })
      .replacing("\"", with: "'").replacing("\\n", with: "")
      .replacing("['role']", with: ".role").replacing("['content']", with: ".content")
  }

  /// What stands between `<|im_start|>system\n` and `<|im_end|>` inside one literal of the template.
  private static func defaultSystem(in text: String) -> String? {
    for part in text.replacing("\\n", with: "\n").split(separator: "<|im_start|>system\n").dropFirst() {
      guard let end = part.firstRange(of: "<|im_end|>") else { continue }
      let content = part[..<end.lowerBound]
      if !content.isEmpty, !content.contains(where: { "'\"{}".contains($0) }) { return String(content) }
    }
    return nil
  }

  /// The two lines that open the system turn from Llama 3.1 on. The date is the template's own, not today's: a prompt
  /// does not depend on the day.
  private static func dates(in text: String) throws -> String? {
    guard text.contains("Cutting Knowledge Date: December 2023") else { return nil }
    guard let tail = text.split(separator: "date_string = \"").dropFirst().first(where: { $0.first?.isNumber == true }),
      let end = tail.firstIndex(of: "\"")
    else {
      throw InputError("encode chat", at: "chat_template", expected: "a default for date_string", found: "none")
    }
    return "Cutting Knowledge Date: December 2023\nToday Date: \(tail[..<end])\n\n"
  }

  /// Without white space at both ends, as Jinja's `trim`.
  private static func trimmed(_ text: String) -> String {
    let scalars = text.unicodeScalars
    // Python also strips the four information separators, which Unicode does not count as white space.
    func isSpace(_ scalar: Unicode.Scalar) -> Bool {
      scalar.properties.isWhitespace || 0x1C...0x1F ~= scalar.value
    }
    guard let first = scalars.firstIndex(where: { !isSpace($0) }), let last = scalars.lastIndex(where: { !isSpace($0) })
    else { return "" }
    return String(scalars[first...last])
  }
}
