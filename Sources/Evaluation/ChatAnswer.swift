import Prompts
import Support

/// The answer of a server of OpenAI's chat completions, read from its JSON, which may hold anything.
package struct ChatAnswer: Equatable, Sendable {
  package var text: String
  /// nil where the server does not say, or says what cannot be.
  package var tokenCount: Int?
  package var finish: FinishReason

  /// nil for a body without an answer.
  package init?(_ json: JSON) {
    guard let choice = json["choices"]?.array?.first, let message = choice["message"],
      let content = message["content"]?.string
    else { return nil }
    text = content
    // Some servers part the reasoning from the answer.
    if let reasoning = message["reasoning_content"]?.string, !reasoning.isEmpty, !text.contains("<think>") {
      text = "<think>\(reasoning)</think>\(text)"
    }
    tokenCount = json["usage"]?["completion_tokens"]?.int.flatMap { $0 >= 0 ? $0 : nil }
    finish = choice["finish_reason"]?.string == "length" ? .length : .stop
  }

  /// The first model of a server's list; nil for a body without one, and for a name that does not fit a line of a
  /// table.
  package static func firstModel(_ json: JSON) -> String? {
    guard let name = json["data"]?.array?.first?["id"]?.string, (1...256).contains(name.utf8.count),
      name.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
    else { return nil }
    return name
  }
}
