import Foundation
import Prompts
import Synchronization

/// Byte-level BPE: text to token ids and back.
///
/// A text is made valid UTF-8 (`LossyUTF8`), added tokens are found in it (`AddedTokenMatcher`), what lies between
/// them is normalized and cut into words (`TextSplitter`), and each word's bytes are merged (`WordEncoder`). The ids
/// are those of Hugging Face's tokenizers for the same files.
///
/// Invariants: encoding is a total function of the bytes; a tokenizer never changes, and any number of threads use it
/// at once (each call takes its buffers from a pool).
public final class Tokenizer: Sendable {
  /// What the tokenizer was made from.
  public let definition: TokenizerDefinition
  /// The number of ids; every id that `encode` gives is below it.
  public var vocabularySize: Int { vocabulary.count }
  public var bosToken: Int32? { definition.bosToken }
  public var eosToken: Int32? { definition.eosToken }
  public var padToken: Int32? { definition.padToken }

  private let vocabulary: Vocabulary
  private let merges: MergeTable
  /// The token of each byte, -1 for bytes that have none.
  private let byteIDs: [Int32]
  private let splitter: TextSplitter
  /// Added tokens found in the text as it is, and those found in what normalizing made of it.
  private let addedTokens: AddedTokenMatcher
  private let normalizedAddedTokens: AddedTokenMatcher
  private let specialTokens: Set<Int32>
  /// The chat template, or why it is refused, which matters only when a chat is encoded.
  private let chatTemplate: Result<ChatTemplate, any Error>
  private let originalFiles: [String: [UInt8]]
  private let pool = EncoderPool()

  /// Checks the definition and makes it fast.
  ///
  /// - Parameter place: names the tokenizer's file in errors.
  /// - Throws: `InputError` for merges without tokens, tokens that occur twice, ids out of range, patterns that do not
  ///   compile.
  public convenience init(definition: TokenizerDefinition, place: String = "tokenizer") throws {
    try self.init(definition, files: [:], place: place)
  }

  /// Reads a Hugging Face tokenizer.
  ///
  /// - Parameters:
  ///   - files: "tokenizer.json"; "tokenizer_config.json" and "chat_template.jinja" where there are such files.
  ///   - place: names the folder in errors.
  /// - Throws: `InputError` that names file and key for whatever is malformed or not a byte-level BPE.
  public convenience init(files: [String: [UInt8]], place: String) throws {
    let definition = try TokenizerFileReader(files: files, place: place).definition()
    let kept = files.filter { TokenizerFileReader.fileNames.contains($0.key) }
    try self.init(definition, files: kept, place: "\(place)/tokenizer.json")
  }

  private init(_ definition: TokenizerDefinition, files: [String: [UInt8]], place: String) throws {
    vocabulary = try Vocabulary(tokens: definition.tokens, place: place)
    merges = try MergeTable(definition.merges, vocabulary: vocabulary, place: place)
    splitter = try TextSplitter(definition.preTokenizer, place: place)
    try definition.checkTokens(place: place)
    let vocabulary = vocabulary
    byteIDs = (0...255).map { vocabulary.id(of: [UInt8($0)]) ?? -1 }
    addedTokens = AddedTokenMatcher(definition.addedTokens.filter { !$0.normalized })
    normalizedAddedTokens = AddedTokenMatcher(definition.addedTokens.filter(\.normalized)) {
      definition.normalizer.normalize(Array($0.content.utf8))
    }
    specialTokens = Set(definition.addedTokens.filter(\.special).map(\.id))
    chatTemplate = Result { try ChatTemplate(definition.chatTemplate) }
    originalFiles = files
    self.definition = definition
  }

  /// The ids of a text. Text that reads as an added token becomes that token.
  ///
  /// - Parameter addSpecialTokens: puts the tokens around that the files ask for (`addBOS`, `addEOS`).
  public func encode(_ text: String, addSpecialTokens: Bool = false) -> [Int32] {
    var text = text
    return text.withUTF8 { encode(valid: $0, addSpecialTokens) }
  }

  /// The ids of bytes; broken UTF-8 becomes U+FFFD first.
  public func encode(bytes: [UInt8], addSpecialTokens: Bool = false) -> [Int32] {
    let valid = String(validating: bytes, as: UTF8.self) == nil ? LossyUTF8.repaired(bytes) : bytes
    return valid.withUnsafeBufferPointer { encode(valid: $0, addSpecialTokens) }
  }

  /// The text of a chat, and its ids as `encode` gives them.
  ///
  /// - Parameter addGenerationPrompt: ends with what opens the assistant's turn.
  /// - Throws: `InputError` when the model has no chat template, or one of an unknown family, or an empty chat.
  public func encodeChat(_ messages: [ChatMessage], addGenerationPrompt: Bool = true) throws -> [Int32] {
    encode(try renderChat(messages, addGenerationPrompt: addGenerationPrompt))
  }

  /// The text of a chat; see `encodeChat`.
  public func renderChat(_ messages: [ChatMessage], addGenerationPrompt: Bool = true) throws -> String {
    let bos = definition.bosToken.map { definition.tokens[Int($0)] } ?? ""
    return try chatTemplate.get().render(messages, bos: bos, addGenerationPrompt: addGenerationPrompt)
  }

  /// The ids that the assistant writes for a turn of this text: the text's own, then the token that ends the turn.
  ///
  /// The text is encoded by itself, as it stands where sampling would have put it: after the prompt's last token.
  /// - Throws: `InputError` when the model has no chat template, or one of an unknown family.
  public func encodeTurn(_ text: String) throws -> [Int32] {
    encode(text) + encode(try chatTemplate.get().turnEnd)
  }

  /// The text of tokens; bytes that are no UTF-8 become U+FFFD. Ids outside the vocabulary have no text.
  public func decode(_ tokens: [Int32], skipSpecial: Bool = false) -> String {
    var decoder = TokenStreamDecoder(self, skipSpecial: skipSpecial)
    return decoder.push(tokens) + decoder.finish()
  }

  /// The bytes of a token; empty for ids outside the vocabulary.
  public func bytes(of token: Int32) -> [UInt8] { Array(vocabulary.bytes(of: token)) }

  package func byteSlice(of token: Int32) -> ArraySlice<UInt8> { vocabulary.bytes(of: token) }

  /// Whether a token is one that decoding can leave out.
  public func isSpecial(_ token: Int32) -> Bool { specialTokens.contains(token) }

  /// The id of an added token, or of a token written as bytes.
  public func id(of text: String) -> Int32? {
    definition.addedTokens.first { $0.content.utf8.elementsEqual(text.utf8) }?.id ?? vocabulary.id(of: Array(text.utf8))
  }

  /// tokenizer.json and tokenizer_config.json, which `transformers` opens and which give the same ids: the files that
  /// the tokenizer was read from, or new ones when it came from elsewhere.
  public var files: [String: [UInt8]] {
    originalFiles.merging(TokenizerFileWriter(definition).files(missingFrom: originalFiles)) { original, _ in original }
  }

  private func encode(valid text: UnsafeBufferPointer<UInt8>, _ addSpecialTokens: Bool) -> [Int32] {
    var output: [Int32] = []
    output.reserveCapacity(text.count / 3 + 8)
    if addSpecialTokens, definition.addBOS, let bos = definition.bosToken { output.append(bos) }
    let state = pool.take()
    addedTokens.split(text) { piece, token in
      if let token { output.append(token.id) } else { encode(piece, state, &output) }
    }
    pool.give(state)
    if addSpecialTokens, definition.addEOS, let eos = definition.eosToken { output.append(eos) }
    return output
  }

  private func encode(_ text: UnsafeBufferPointer<UInt8>, _ state: EncoderState, _ output: inout [Int32]) {
    func encodeNormalized(_ text: UnsafeBufferPointer<UInt8>) {
      normalizedAddedTokens.split(text) { piece, token in
        if let token {
          output.append(token.id)
        } else {
          splitter.split(piece, matcher: state.matcher) { word in
            state.cache.tokens(of: word, into: &output) { encode(word: $0, state, &$1) }
          }
        }
      }
    }
    if definition.normalizer.leavesAlone(text) {
      encodeNormalized(text)
    } else {
      definition.normalizer.normalize(Array(text)).withUnsafeBufferPointer(encodeNormalized)
    }
  }

  private func encode(word: UnsafeBufferPointer<UInt8>, _ state: EncoderState, _ output: inout [Int32]) {
    if definition.ignoresMerges, let id = vocabulary.id(of: word) { return output.append(id) }
    state.encoder.encode(word, byteIDs: byteIDs, merges: merges, into: &output)
  }
}

extension TextNormalizer {
  /// Whether normalizing cannot change the text. Every character below U+0300 is composed already.
  fileprivate func leavesAlone(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    self == .none || text.allSatisfy { $0 < 0xCC }
  }

  fileprivate func normalize(_ text: [UInt8]) -> [UInt8] {
    switch self {
    case .none: text
    case .nfc: Array(String(decoding: text, as: UTF8.self).precomposedStringWithCanonicalMapping.utf8)
    }
  }
}

/// The buffers of one call of `encode`.
// Unchecked because a state is in the pool or in one call of `encode`, never in two.
private final class EncoderState: @unchecked Sendable {
  let matcher = Matcher()
  var cache = WordCache()
  var encoder = WordEncoder()
}

/// States that wait for the next call, so that their caches stay warm; as many as there were calls at once, up to 16.
private final class EncoderPool: Sendable {
  private let states = Mutex<[EncoderState]>([])

  func take() -> EncoderState { states.withLock { $0.popLast() } ?? EncoderState() }

  func give(_ state: EncoderState) {
    states.withLock { if $0.count < 16 { $0.append(state) } }
  }
}
