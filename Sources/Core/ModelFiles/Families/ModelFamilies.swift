/// The families that are read and written. A new one is a file in this folder and a line here.
package enum ModelFamilies {
  package static let all: [any ModelFamily] = [
    Llama(),
    Qwen2(),
    Qwen3(),
    LLaVA(),
    Qwen2_5VL(),
    InternVL(),
  ]
}

extension Sequence<String> {
  /// "a, b or c"
  var alternatives: String {
    let words = Array(self)
    guard words.count > 1 else { return words.first ?? "" }
    return words.dropLast().joined(separator: ", ") + " or " + words[words.count - 1]
  }
}
