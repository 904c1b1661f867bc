import Foundation
import Imaging
import Prompts
import Support
import Synchronization
import Tasks

/// A server that speaks OpenAI's chat completions and answers an evaluation set, so that other models stand in the same
/// table.
///
/// Asked greedily (temperature 0) and without stop strings, which such servers would cut from the answer. Images go as
/// base64 where the chat has their placeholders. What a server cannot do now (429, 5xx, no connection) is asked twice
/// more; what it refuses ends the evaluation, for a table with holes compares nothing.
/// Source: OpenAI API reference, "Create chat completion".
public struct ChatEndpoint: EvaluatedModel, Sendable {
  /// The model's name, as the server knows it.
  public let model: String
  private let base: String
  private let key: String?
  private let parallel: Int
  private let pauseSeconds: Double

  private static let attempts = 3

  /// - Parameters:
  ///   - text: the API's base, "http://HOST:PORT/v1"; "#NAME" at the end names the model, which otherwise is the first
  ///     that the server lists.
  ///   - key: sent as bearer token.
  ///   - parallel: prompts asked at once, at least 1.
  ///   - pauseSeconds: between attempts; doubles.
  /// - Throws: `InputError` for another kind of address, and for a server that lists no model.
  public init(_ text: String, key: String?, parallel: Int, pauseSeconds: Double = 1) throws {
    let parts = text.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    var base = String(parts[0])
    while base.hasSuffix("/") { base.removeLast() }
    guard ["http://", "https://"].contains(where: { base.hasPrefix($0) && base.count > $0.count }) else {
      throw InputError(
        "ask a server", at: "--endpoint", expected: "http://HOST:PORT/v1 or http://HOST:PORT/v1#MODEL", found: text)
    }
    self.base = base
    self.key = key
    self.parallel = max(1, parallel)
    self.pauseSeconds = pauseSeconds
    model = parts.count > 1 && !parts[1].isEmpty ? String(parts[1]) : try Self.firstModel(base, key)
  }

  private static func firstModel(_ base: String, _ key: String?) throws -> String {
    let url = "\(base)/models"
    let (status, body) = try HTTPRequest(url: url, bearer: key, secondsMax: 30).perform()
    guard status == 200, let name = ChatAnswer.firstModel(try JSON.parse(body, place: url)) else {
      throw InputError(
        "ask a server", at: url, expected: "a list of models", found: "status \(status): \(excerpt(body))")
    }
    return name
  }

  public func answers(_ evaluationSet: EvaluationSet, progress: (Int) -> Void) throws -> [Answer] {
    let work = Work(evaluationSet.count)
    let finished = DispatchSemaphore(value: 0)
    for _ in 0..<min(parallel, evaluationSet.count) {
      // Threads of their own: they wait for the network, which Swift's pool must not.
      let thread = Thread {
        while let index = work.next() {
          work.finish(index, Result { try answer(evaluationSet, index) })
          finished.signal()
        }
      }
      thread.start()
    }
    while !work.state.isOver {
      finished.wait()
      progress(work.state.done)
    }
    return try work.answers()
  }

  private func answer(_ evaluationSet: EvaluationSet, _ index: Int) throws -> Answer {
    let prompt = evaluationSet.prompt(index)
    let url = "\(base)/chat/completions"
    let body = request(prompt, maxNewTokens: evaluationSet.sampling.maxNewTokens).serialized()
    var pause = pauseSeconds
    for attempt in 1... {
      do {
        let (status, answer) = try HTTPRequest(url: url, body: body, bearer: key).perform()
        if status == 200 { return try read(answer, evaluationSet, index, place: url) }
        guard attempt < Self.attempts, status == 429 || status >= 500 else {
          throw Refusal(status: status, text: Self.excerpt(answer))
        }
      } catch let refusal as Refusal {
        throw InputError(
          "ask a server", at: "\(url), held-out prompt \(prompt.id)", expected: "an answer",
          found: "status \(refusal.status): \(refusal.text)")
      } catch  where attempt < Self.attempts {}
      Thread.sleep(forTimeInterval: pause)
      pause *= 2
    }
    preconditionFailure("the last attempt returns or throws")
  }

  private struct Refusal: Error {
    var status: Int
    var text: String
  }

  private func request(_ prompt: Prompt, maxNewTokens: Int) -> JSON {
    var images = prompt.images[...]
    let messages = prompt.messages.map { message in
      JSON.object(["role": .string(message.role), "content": content(message.content, &images)])
    }
    return .object([
      "model": .string(model), "messages": .array(messages), "temperature": .integer(0),
      "max_tokens": .integer(Int64(maxNewTokens)), "stream": .bool(false),
    ])
  }

  /// Text alone is a string; with images it is a list of parts.
  private func content(_ text: String, _ images: inout ArraySlice<PromptImage>) -> JSON {
    guard !images.isEmpty, text.contains(PromptImage.placeholder) else { return .string(text) }
    var parts: [JSON] = []
    func add(_ text: Substring) {
      guard text.contains(where: { !$0.isWhitespace }) else { return }
      parts.append(.object(["type": .string("text"), "text": .string(String(text))]))
    }
    var rest = text[...]
    while let place = rest.firstRange(of: PromptImage.placeholder), let image = images.popFirst() {
      add(rest[..<place.lowerBound])
      rest = rest[place.upperBound...]
      let type = ImageFormat(of: image.bytes) == .jpeg ? "jpeg" : "png"
      let url = "data:image/\(type);base64,\(Data(image.bytes).base64EncodedString())"
      parts.append(.object(["type": .string("image_url"), "image_url": .object(["url": .string(url)])]))
    }
    add(rest)
    return .array(parts)
  }

  private func read(_ body: [UInt8], _ evaluationSet: EvaluationSet, _ index: Int, place: String) throws -> Answer {
    guard let said = ChatAnswer(try JSON.parse(body, place: place)) else {
      throw Refusal(status: 200, text: Self.excerpt(body))
    }
    return evaluationSet.answer(index, text: said.text, tokenCount: said.tokenCount, finish: said.finish)
  }

  /// The beginning of a body on one line, without control characters.
  package static func excerpt(_ body: [UInt8]) -> String {
    let text = String(decoding: body.prefix(200), as: UTF8.self).unicodeScalars
    return String(String.UnicodeScalarView(text.map { $0.properties.generalCategory == .control ? " " : $0 }))
  }

  /// Prompts to be asked, and what came of them. The first failure ends the rest.
  private final class Work: Sendable {
    private struct State {
      var next = 0
      var done = 0
      var results: [Answer?]
      var failure: (any Error)?
    }
    private let shared: Mutex<State>

    init(_ count: Int) { shared = Mutex(State(results: Array(repeating: nil, count: count))) }

    func next() -> Int? {
      shared.withLock { state in
        guard state.failure == nil, state.next < state.results.count else { return nil }
        defer { state.next += 1 }
        return state.next
      }
    }

    func finish(_ index: Int, _ result: Result<Answer, any Error>) {
      shared.withLock { state in
        switch result {
        case .success(let answer):
          state.results[index] = answer
          state.done += 1
        case .failure(let error): state.failure = state.failure ?? error
        }
      }
    }

    var state: (done: Int, isOver: Bool) {
      shared.withLock { ($0.done, $0.failure != nil || $0.done == $0.results.count) }
    }

    func answers() throws -> [Answer] {
      try shared.withLock { state in
        if let failure = state.failure { throw failure }
        return state.results.compactMap { $0 }
      }
    }
  }
}
