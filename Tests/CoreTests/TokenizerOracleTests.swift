import Foundation
import ModelFiles
import Support
import Testing
import Tokenizers

/// Ids and texts against Hugging Face's tokenizers.
@Suite("Tokenizer oracle")
struct TokenizerOracleTests {
  @Test("Ids of tiny tokenizers are those of Hugging Face, for every kind of text", arguments: TokenizerFixtures.kinds)
  func tinyIDs(kind: String) throws {
    try check(TokenizerFixtures.tokenizer(kind), TokenizerFixtures.json("\(kind).json"))
  }

  @Test(
    "Texts of any ids are those of Hugging Face, in one piece and token by token", arguments: TokenizerFixtures.kinds)
  func tinyTexts(kind: String) throws {
    try checkDecodings(TokenizerFixtures.tokenizer(kind), TokenizerFixtures.json("\(kind).json"))
  }

  @Test("A definition written as files reads back as itself and gives the same ids", arguments: TokenizerFixtures.kinds)
  func writtenFiles(kind: String) throws {
    let original = try TokenizerFixtures.tokenizer(kind)
    let written = try Tokenizer(definition: original.definition).files
    let again = try Tokenizer(files: written, place: "written")
    #expect(again.definition == original.definition)
    try check(again, TokenizerFixtures.json("\(kind).json"))
  }

  @Test(
    "Ids and texts of the default model's tokenizer are those of Hugging Face",
    .enabled(if: ModelOracle.defaultModelPath != nil, ModelOracle.needsDefaultModel))
  func defaultModel() throws {
    let path = try #require(ModelOracle.defaultModelPath)
    let tokenizer = try ModelLoader.describe(path: path).tokenizer
    let fixture = TokenizerFixtures.json("smollm2.json")
    #expect(tokenizer.vocabularySize == 49152)
    try check(tokenizer, fixture)
    try checkDecodings(tokenizer, fixture)
    let chats = try #require(TokenizerFixtures.json("chats.json")["chats"]?.array)
    for (chat, ids) in zip(chats, fixture["chats"]?.array ?? []) {
      #expect(try tokenizer.encodeChat(TokenizerFixtures.messages(chat)) == TokenizerFixtures.ids(ids))
    }
    let written = try Tokenizer(files: tokenizer.files, place: "written")
    #expect(written.definition == tokenizer.definition)
    try check(written, fixture)
  }

  private func check(_ tokenizer: Tokenizer, _ fixture: JSON) throws {
    let expected = try #require(fixture["ids"]?.array)
    let texts = TokenizerFixtures.texts
    #expect(texts.count >= 200)
    #expect(texts.count == expected.count)
    for (text, ids) in zip(texts, expected) {
      let found = tokenizer.encode(bytes: text)
      #expect(found == TokenizerFixtures.ids(ids), "\(String(decoding: text, as: UTF8.self).debugDescription)")
      #expect(tokenizer.encode(String(decoding: LossyUTF8.repaired(text), as: UTF8.self)) == found)
    }
  }

  private func checkDecodings(_ tokenizer: Tokenizer, _ fixture: JSON) throws {
    let cases = try #require(fixture["decodings"]?.array)
    #expect(cases.count >= 50)
    for item in cases {
      let ids = TokenizerFixtures.ids(item["ids"])
      for (key, skipSpecial) in [("text", false), ("without_special", true)] {
        let expected = try #require(item[key]?.string)
        let text = tokenizer.decode(ids, skipSpecial: skipSpecial)
        #expect(
          text.utf8.elementsEqual(expected.utf8), "\(ids): \(text.debugDescription), not \(expected.debugDescription)")
        var stream = TokenStreamDecoder(tokenizer, skipSpecial: skipSpecial)
        let pieces = ids.map { stream.push($0) } + [stream.finish()]
        #expect(pieces.joined().utf8.elementsEqual(expected.utf8))
      }
    }
  }
}
