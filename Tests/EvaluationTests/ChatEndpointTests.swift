import Evaluation
import Foundation
import Prompts
import Support
import Synchronization
import Tasks
import Testing

@Suite("A chat endpoint", .timeLimit(.minutes(1)))
struct ChatEndpointTests {
  private static func completion(_ text: String, finish: String = "stop") -> String {
    let message = JSON.object(["role": .string("assistant"), "content": .string(text)])
    let json = JSON.object([
      "choices": .array([.object(["message": message, "finish_reason": .string(finish)])]),
      "usage": .object(["completion_tokens": .integer(7)]),
    ])
    return String(decoding: json.serialized(), as: UTF8.self)
  }

  private let evaluationSet = EvaluationSet(WrittenPrompts((0..<5).map { ("number", "\($0)", "", "") }))

  private func endpoint(_ url: String, key: String? = nil, parallel: Int = 3) throws -> ChatEndpoint {
    try ChatEndpoint(url, key: key, parallel: parallel, pauseSeconds: 0.01)
  }

  @Test("is asked every prompt greedily, and answers stand in the order of the prompts")
  func order() throws {
    let server = try HTTPStub { request in
      if request.path == "/v1/models" { return (200, #"{"data": [{"id": "stub"}, {"id": "other"}]}"#) }
      let json = try? JSON.parse(request.body, place: "request")
      let question = json?["messages"]?.array?.last?["content"]?.string ?? ""
      let number = question.filter(\.isNumber)
      return (200, Self.completion("<think>\(question)</think><answer>\(number)</answer>"))
    }
    let endpoint = try endpoint(server.url, key: "secret")
    #expect(endpoint.model == "stub")
    let seen = Mutex(0)
    let answers = try endpoint.answers(evaluationSet) { done in seen.withLock { $0 = max($0, done) } }
    #expect(answers.map(\.accuracy) == [1, 1, 1, 1, 1])
    #expect(answers.map(\.prompt.id) == [0, 1, 2, 3, 4])
    #expect(answers.allSatisfy { $0.tokenCount == 7 })
    #expect(answers.allSatisfy { $0.finish == .stop })
    #expect(answers.allSatisfy { $0.format == 1 })
    #expect(seen.withLock { $0 } == 5)
    for request in server.requests.dropFirst() {
      let json = try JSON.parse(request.body, place: "request")
      #expect(request.method == "POST")
      #expect(request.path == "/v1/chat/completions")
      #expect(json["temperature"]?.double == 0)
      #expect(json["model"]?.string == "stub")
      #expect(json["max_tokens"]?.int == 48)
      #expect(request.headers.contains("Authorization: Bearer secret"))
    }
  }

  @Test("gets images as base64 where the chat has their places")
  func images() throws {
    let png: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 1, 2, 3]
    let jpeg: [UInt8] = [0xFF, 0xD8, 0xFF, 4, 5]
    let prompt = Prompt(
      id: 0,
      messages: [
        ChatMessage(role: "system", content: "Be brief."),
        ChatMessage(role: "user", content: "Before <image> and <image>\nafter"),
      ], images: [PromptImage(bytes: png), PromptImage(bytes: jpeg)],
      reward: RewardSpecification(kind: "open_ended", reference: "it"))
    let server = try HTTPStub { _ in (200, Self.completion("<answer>it</answer>", finish: "length")) }
    let answers = try endpoint(server.url + "#named").answers(EvaluationSet(WrittenPrompts([prompt]))) { _ in }
    #expect(answers[0].accuracy == 1)
    #expect(answers[0].finish == .length)
    let json = try JSON.parse(try #require(server.requests.first).body, place: "request")
    #expect(json["model"]?.string == "named")
    #expect(server.requests.count == 1)
    let messages = try #require(json["messages"]?.array)
    #expect(messages[0]["content"]?.string == "Be brief.")
    let parts = try #require(messages[1]["content"]?.array)
    #expect(parts.map { $0["type"]?.string } == ["text", "image_url", "text", "image_url", "text"])
    let urls = parts.compactMap { $0["image_url"]?["url"]?.string }
    #expect(urls[0] == "data:image/png;base64," + Data(png).base64EncodedString())
    #expect(urls[1] == "data:image/jpeg;base64," + Data(jpeg).base64EncodedString())
  }

  @Test("that is busy is asked again; one that stays so ends the evaluation")
  func busy() throws {
    let count = Mutex(0)
    let server = try HTTPStub { _ in
      count.withLock { count in
        count += 1
        return count % 3 == 0 ? (200, Self.completion("<answer>0</answer>")) : (count % 3 == 1 ? 503 : 429, "busy")
      }
    }
    let one = EvaluationSet(WrittenPrompts([("number", "0", "", "")]))
    #expect(try endpoint(server.url + "#m").answers(one) { _ in }.first?.accuracy == 1)
    let never = try HTTPStub { _ in (500, "broken\nserver") }
    let error = #expect(throws: InputError.self) { try endpoint(never.url + "#m").answers(one) { _ in } }
    #expect(error?.found == "status 500: broken server")
    #expect(never.requests.count == 3)
  }

  @Test(
    "that refuses, or answers something else, is named with what it said",
    arguments: [(400, "no such model"), (401, "key"), (200, "{}"), (200, #"{"choices": []}"#)])
  func refusal(status: Int, body: String) throws {
    let server = try HTTPStub { _ in (status, body) }
    let error = #expect(throws: InputError.self) { try endpoint(server.url + "#m").answers(evaluationSet) { _ in } }
    #expect(error?.found == "status \(status): \(body)")
    #expect(error?.place.contains("held-out prompt") == true)
  }

  @Test(
    "that is not there, or no address of the web, is refused",
    arguments: ["http://127.0.0.1:1/v1#m", "file:///etc/passwd", "http://"])
  func nowhere(url: String) throws {
    #expect(throws: InputError.self) { try endpoint(url).answers(evaluationSet) { _ in } }
  }

  @Test("whose answer never ends is cut off")
  func flood() throws {
    let server = try HTTPStub { _ in (200, String(repeating: "x", count: 17 << 20)) }
    let one = EvaluationSet(WrittenPrompts([("number", "0", "", "")]))
    let error = #expect(throws: InputError.self) { try endpoint(server.url + "#m").answers(one) { _ in } }
    #expect(error?.found.contains("more than") == true)
  }
}
