import Foundation
import Prompts
import Support
import Testing
import Tokenizers

/// Chats against Jinja, and templates that are refused.
@Suite("Chat templates")
struct TokenizerChatTests {
  @Test("A chat reads as Jinja renders it", arguments: ["smollm2", "qwen2.5", "qwen3", "llama3", "llama3.1"])
  func rendered(name: String) throws {
    let fixture = TokenizerFixtures.json("chats.json")
    let template = try #require(fixture["templates"]?[name])
    let bos = template["bos"]?.string ?? ""
    let chat = try ChatTemplate(template["text"]?.string)
    let cases = (fixture["cases"]?.array ?? []).filter { $0["template"]?.string == name }
    #expect(cases.count >= 10)
    for item in cases {
      let text = try chat.render(
        TokenizerFixtures.messages(item["messages"]), bos: bos,
        addGenerationPrompt: item["generation_prompt"] == .bool(true))
      let expected = try #require(item["text"]?.string)
      #expect(text.utf8.elementsEqual(expected.utf8), "\(text.debugDescription), not \(expected.debugDescription)")
    }
  }

  @Test(
    "A template of another family is refused",
    arguments: [
      nil, "", "{{ messages }}", "<|im_start|><|im_end|>",
      "{{ '<|im_start|>' + message.role + '<|im_sep|>' + message.content + '<|im_end|>' }}",
      "{{ bos_token }}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}",
      "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>' }}",
      "{{ '[INST] ' + message['content'] + ' [/INST]' }}",
    ] as [String?])
  func unknownFamilies(text: String?) throws {
    let error = #expect(throws: InputError.self) { try ChatTemplate(text) }
    #expect(error?.place == "chat_template")
  }

  @Test("A model without a template encodes text, and refuses chats")
  func noTemplate() throws {
    let tokenizer = try Tokenizer(files: ["tokenizer.json": TokenizerFixtures.tinyFile()], place: "tiny")
    #expect(tokenizer.encode("abc") == [257])
    #expect(throws: InputError.self) { try tokenizer.encodeChat([ChatMessage(role: "user", content: "a")]) }
  }

  @Test("An empty chat, and what the template would rewrite, are refused")
  func refusedChats() throws {
    let fixture = TokenizerFixtures.json("chats.json")
    let qwen3 = try ChatTemplate(fixture["templates"]?["qwen3"]?["text"]?.string)
    let user = ChatMessage(role: "user", content: "a")
    #expect(throws: InputError.self) { try qwen3.render([], bos: "", addGenerationPrompt: true) }
    for content in ["b", "<think>c</think>b"] {
      let chat = [user, ChatMessage(role: "assistant", content: content)]
      #expect(throws: InputError.self) { try qwen3.render(chat, bos: "", addGenerationPrompt: true) }
    }
    #expect(throws: InputError.self) {
      let chat = [user, ChatMessage(role: "assistant", content: "<think>c</think>b"), user]
      return try qwen3.render(chat, bos: "", addGenerationPrompt: true)
    }
  }

  @Test(
    "The template comes from the configuration, or from a file of its own",
    arguments: [
      (#"{"chat_template": "one"}"#, "one"), (#"{"chat_template": null}"#, "file"), ("{}", "file"),
      (#"{"chat_template": [{"name": "tool", "template": "two"}, {"name": "default", "template": "one"}]}"#, "one"),
    ])
  func source(config: String, expected: String) throws {
    let files = [
      "tokenizer.json": TokenizerFixtures.tinyFile(), "tokenizer_config.json": Array(config.utf8),
      "chat_template.jinja": Array("file".utf8),
    ]
    #expect(try Tokenizer(files: files, place: "tiny").definition.chatTemplate == expected)
  }
}
