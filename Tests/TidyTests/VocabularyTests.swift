import Testing

/// Holds the sources to the words of GLOSSARY.md: an old word that comes back is found with its file and line.
@Suite("Vocabulary")
struct VocabularyTests {
  /// A word that the project no longer uses, and the one in its place.
  private struct OldWord: Sendable {
    var pattern: String
    var instead: String
  }

  private static let oldWords: [OldWord] = [
    OldWord(pattern: #"\bpatience"#, instead: "timeout, pending wait"),
    OldWord(pattern: #"\bexamin"#, instead: "evaluate, evaluated model"),
    OldWord(pattern: #"\brehears"#, instead: "dry run"),
    OldWord(pattern: #"\bgiv(e|es|en) up\b"#, instead: "fail, failed"),
    OldWord(pattern: #"\b(go|goes|gone|going) on (from|with)\b"#, instead: "resume"),
    OldWord(pattern: #"\bexpel"#, instead: "evict"),
    OldWord(pattern: #"\bstrikes?\b"#, instead: "violation"),
    OldWord(pattern: #"\b(desk|turned away)\b"#, instead: "access log, rejected"),
    OldWord(pattern: #"\b(seat|occupant|challenger)s?\b"#, instead: "learner slot"),
    OldWord(pattern: #"\b(shrunk|survivors?)\b"#, instead: "partial group"),
    OldWord(pattern: #"\bkept mass"#, instead: "truncated mass"),
    OldWord(pattern: #"\b(draws?|drawn) (a |one |the )?(next )?(token|completion|sample)s?\b"#, instead: "sample"),
    OldWord(pattern: #"\b(token|completion|sample)s? (is|are|was|were) drawn\b"#, instead: "sample"),
    OldWord(pattern: #"\bmodels? that sees?\b"#, instead: "vision-language model"),
    OldWord(pattern: #"\b(number|log-probability) that is none\b"#, instead: "NaN"),
    OldWord(pattern: #"\bmend(s|ed|ing)?\b"#, instead: "fix"),
    OldWord(pattern: #"\bbeside\b"#, instead: "next to"),
    OldWord(pattern: #"\b(written|writes?) aside\b"#, instead: "temporary file"),
    OldWord(pattern: #"\b(whoever|so many)\b"#, instead: "the subject or number itself"),
    OldWord(pattern: #"\bto speak of\b"#, instead: "almost none"),
  ]

  /// Names that stay readable for old settings files, command lines and journals, and words of another meaning.
  private static let exemptions: [(file: String, text: String)] = [
    ("", #"formerly("farm.patience_seconds")"#),
    ("Sources/fovea/Commands/WorkerCommand.swift", #"aliases: ["patience"]"#),
    ("", #"formerly("farm.survivors_min")"#),
  ]

  @Test("No source uses a word that the glossary has replaced")
  func oldWords() throws {
    for word in Self.oldWords {
      let regex = try Regex(word.pattern).ignoresCase()
      for file in SourceTree.sourceFiles where file.isCode && file.text.contains(regex) {
        for (index, line) in file.lines.enumerated() {
          guard let match = line.firstMatch(of: regex) else { continue }
          let isExempt = Self.exemptions.contains { file.path.hasPrefix($0.file) && line.contains($0.text) }
          if !isExempt { Issue.record("\(file):\(index + 1) has \"\(line[match.range])\"; write \(word.instead)") }
        }
      }
    }
  }

  @Test("Every exemption is still needed")
  func exemptions() {
    for (path, text) in Self.exemptions {
      let isUsed = SourceTree.sourceFiles.contains { $0.path.hasPrefix(path) && $0.text.contains(text) }
      #expect(isUsed, "no source in \(path) has \(text)")
    }
  }
}
