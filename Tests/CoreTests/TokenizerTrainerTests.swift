import Support
import Testing
import Tokenizers

/// Tokenizers learned here against those of Hugging Face's BpeTrainer.
@Suite struct TokenizerTrainerTests {
  struct Case {
    var corpus: [String]
    var size: Int
    var added: [AddedToken]
    var json: JSON

    init(_ json: JSON) {
      self.json = json
      corpus = Self.strings(json["corpus"])
      size = json["size"]?.int ?? 0
      added = Self.strings(json["added"]).enumerated().map {
        AddedToken(id: Int32($0.offset), content: $0.element, special: true)
      }
    }

    static func strings(_ json: JSON?) -> [String] { (json?.array ?? []).compactMap(\.string) }

    func definition(_ corpus: [String]) throws -> TokenizerDefinition {
      let trainer = try TokenizerTrainer(addedTokens: added)
      for text in corpus { trainer.add(text) }
      return trainer.definition(vocabularySize: size)
    }
  }

  private let cases = (TokenizerFixtures.json("trained.json").array ?? []).map { Case($0) }

  @Test("Tokens and merges are those of Hugging Face") func tokensAndMergesAreThoseOfHuggingFace() throws {
    #expect(cases.count == 3)
    for item in cases {
      let definition = try item.definition(item.corpus)
      #expect(definition.tokens == Case.strings(item.json["tokens"]))
      #expect(definition.merges == Case.strings(item.json["merges"]))
    }
  }

  @Test("The ids of known and unknown texts are those of Hugging Face")
  func idsOfSeenAndUnseenTextsAreThoseOfHuggingFace() throws {
    for item in cases {
      let learned = try Tokenizer(definition: item.definition(item.corpus))
      // As another program opens it.
      let tokenizer = try Tokenizer(files: learned.files, place: "learned")
      #expect(tokenizer.definition.tokens == learned.definition.tokens)
      for (text, ids) in zip(TokenizerFixtures.texts, item.json["ids"]?.array ?? []) {
        #expect(tokenizer.encode(bytes: text) == TokenizerFixtures.ids(ids))
      }
      for (text, ids) in zip(item.corpus, item.json["corpus_ids"]?.array ?? []) {
        let found = tokenizer.encode(text)
        #expect(found == TokenizerFixtures.ids(ids))
        #expect(tokenizer.decode(found) == text)
      }
    }
  }

  @Test("The order of the texts does not matter") func theOrderOfTheTextsDoesNotMatter() throws {
    for item in cases { #expect(try item.definition(item.corpus.reversed()) == item.definition(item.corpus)) }
  }

  @Test("Added tokens are not counted as words and stay whole") func addedTokensTeachNothingAndStayWhole() throws {
    let item = cases[0]
    let once = try item.definition(item.corpus)
    #expect(try item.definition(item.corpus + ["<think></think><think><image>"]) == once)
    #expect(try Tokenizer(definition: once).encode("<think>a</think>").count == 3)
  }

  @Test("A word beyond the limit is left out") func aWordLongerThanAnyIsLeftOut() throws {
    let long = String(repeating: "ab", count: TokenizerTrainer.wordByteCountMax)
    #expect(try cases[0].definition([long]).merges.isEmpty)
    #expect(!(try cases[0].definition([String(long.prefix(100))]).merges.isEmpty))
  }
}
