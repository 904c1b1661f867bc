import Foundation
import Support
import Testing
import Tokenizers

/// What the tokenizer promises for any input.
@Suite("Tokenizer")
struct TokenizerTests {
  @Test("Any bytes encode, and decode to what a lossy decoder makes of them", arguments: TokenizerFixtures.kinds)
  func anyBytesRoundTrip(kind: String) throws {
    // "mixed" drops text, and "qwen2" composes it.
    guard kind != "mixed" else { return }
    let tokenizer = try TokenizerFixtures.tokenizer(kind)
    var random = RandomStream(seed: 11, purpose: .test)
    for round in 0..<400 {
      let bytes = Self.bytes(round, &random)
      let lossy = LossyUTF8.repaired(bytes)
      let ids = tokenizer.encode(bytes: bytes)
      #expect(ids.allSatisfy { 0..<Int32(tokenizer.vocabularySize) ~= $0 })
      var text = String(decoding: lossy, as: UTF8.self)
      if kind == "qwen2" { text = text.precomposedStringWithCanonicalMapping }
      // Tokens that strip white space change the text; the fuzz has none of theirs.
      #expect(tokenizer.decode(ids).utf8.elementsEqual(text.utf8), "round \(round): \(bytes)")
    }
  }

  /// Random bytes, more or less like text.
  static func bytes(_ round: Int, _ random: inout RandomStream) -> [UInt8] {
    let count = Int(random.integer(below: round % 10 == 0 ? 2000 : 60))
    let alphabet: [UInt8] =
      Array(" \n\t'stable09<|end|>".utf8) + [0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80, 0xCC, 0x81]
    return (0..<count).map { _ in
      switch round % 3 {
      case 0: UInt8(random.integer(below: 256))
      case 1: alphabet[Int(random.integer(below: UInt64(alphabet.count)))]
      default: UInt8(random.integer(below: 95)) + 32
      }
    }
  }

  @Test("Lossy decoding does not depend on how the bytes were cut")
  func lossyPieces() {
    var random = RandomStream(seed: 12, purpose: .test)
    for round in 0..<300 {
      let bytes = Self.bytes(round, &random)
      var whole: [UInt8] = []
      var decoder = LossyUTF8()
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = 1 + Int(random.integer(below: 4))
        decoder.push(rest.prefix(count), into: &whole)
        #expect(String(validating: whole, as: UTF8.self) != nil)
        rest = rest.dropFirst(count)
      }
      decoder.finish(into: &whole)
      #expect(whole == LossyUTF8.repaired(bytes))
      #expect(whole == Array(String(decoding: bytes, as: UTF8.self).utf8))
    }
  }

  @Test("A character that spans tokens appears when its last byte does")
  func partialCharacters() throws {
    let tokenizer = try Tokenizer(files: ["tokenizer.json": TokenizerFixtures.tinyFile()], place: "tiny")
    var stream = TokenStreamDecoder(tokenizer)
    #expect([0x61, 0xF0, 0x9F, 0x98, 0x80, 0xE2, 0x82].map { stream.push($0) } == ["a", "", "", "", "😀", "", ""])
    // The end token shows that the euro sign will not be completed.
    #expect(stream.push(258) == "\u{FFFD}<end>")
    #expect(stream.push(0xC3) == "")
    #expect(stream.finish() == "\u{FFFD}")
    #expect(stream.finish() == "")
    #expect(stream.push(-1) == "")
    #expect(stream.push(259) == "")
    #expect(stream.push(.max) == "")
  }

  @Test("Long words merge as short ones do")
  func longWords() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("gpt2")
    let vocabulary = try Vocabulary(tokens: tokenizer.definition.tokens, place: "")
    let merges = try MergeTable(tokenizer.definition.merges, vocabulary: vocabulary, place: "")
    let byteIDs = (UInt8.min...UInt8.max).map { vocabulary.id(of: [$0]) ?? -1 }
    var random = RandomStream(seed: 13, purpose: .test)
    var encoder = WordEncoder()
    for _ in 0..<200 {
      let word = (0..<120).map { _ in Array("theraninggo".utf8)[Int(random.integer(below: 11))] }
      // The slow reading of the rule: again and again, the pair of lowest rank, leftmost.
      var expected = word.map { byteIDs[Int($0)] }
      while true {
        let pairs = expected.indices.dropLast().map { merges.value(expected[$0], expected[$0 + 1]) }
        guard let best = pairs.min(), best != MergeTable.none, let at = pairs.firstIndex(of: best) else { break }
        expected.replaceSubrange(at...at + 1, with: [MergeTable.id(best)])
      }
      var found: [Int32] = []
      word.withUnsafeBufferPointer { encoder.encode($0, byteIDs: byteIDs, merges: merges, into: &found) }
      #expect(found == expected)
    }
  }

  @Test("A word of a million bytes is a matter of moments")
  func hugeWord() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("gpt2")
    let text = String(repeating: "the", count: 333_333)
    #expect(tokenizer.decode(tokenizer.encode(text)) == text)
    let spaces = String(repeating: " ", count: 1_000_000)
    #expect(tokenizer.decode(tokenizer.encode(spaces)) == spaces)
  }

  @Test("Many threads that encode at once get the same ids")
  func threads() async throws {
    let tokenizer = try TokenizerFixtures.tokenizer("llama3")
    let texts = TokenizerFixtures.texts
    let expected = texts.map { tokenizer.encode(bytes: $0) }
    await withTaskGroup(of: [[Int32]].self) { group in
      for _ in 0..<8 { group.addTask { texts.map { tokenizer.encode(bytes: $0) } } }
      for await ids in group { #expect(ids == expected) }
    }
  }

  @Test("Special tokens go around a text only when asked for")
  func specialTokens() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("llama3")
    let start = try #require(tokenizer.id(of: "<|start|>"))
    #expect(tokenizer.bosToken == start)
    #expect(tokenizer.isSpecial(start))
    #expect(!tokenizer.isSpecial(0))
    #expect(tokenizer.encode("the", addSpecialTokens: true) == [start] + tokenizer.encode("the"))
    #expect(tokenizer.bytes(of: start) == Array("<|start|>".utf8))
    #expect(tokenizer.bytes(of: -1).isEmpty)
    #expect(tokenizer.bytes(of: .max).isEmpty)
    #expect(tokenizer.decode([start, start], skipSpecial: true).isEmpty)
  }
}
