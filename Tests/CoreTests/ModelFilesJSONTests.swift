import Support
import Testing

@Suite struct JSONTests {
  static func parse(_ text: String) throws -> JSON { try JSON.parse(Array(text.utf8), place: "test.json") }

  @Test(
    "A document is read as its value",
    arguments: [
      ("null", JSON.null), ("true", .bool(true)), (" false\n", .bool(false)),
      ("0", .integer(0)), ("-12", .integer(-12)), ("9223372036854775807", .integer(.max)),
      ("-9223372036854775808", .integer(.min)), ("9223372036854775808", .number(9_223_372_036_854_775_808)),
      ("1.0", .number(1)), ("1e-05", .number(1e-5)), ("-2.5E+3", .number(-2500)),
      ("1000000000000000019884624838656", .number(1e30)),
      (#""""#, .string("")), (#""a\"\\\/\b\f\n\r\tb""#, .string("a\"\\/\u{8}\u{c}\n\r\tb")),
      (#""Ġ\u0120\ud83d\ude00é""#, .string("ĠĠ😀é")),
      ("[]", .array([])), ("[1, [2] ,{}]", .array([.integer(1), .array([.integer(2)]), .object([:])])),
      (#"{"a": {"b": null}, "": 1}"#, .object(["a": .object(["b": .null]), "": .integer(1)])),
    ])
  func aDocumentIsReadAsItsValue(text: String, value: JSON) throws {
    #expect(try Self.parse(text) == value)
  }

  @Test(
    "A mistake is an error with its byte offset",
    arguments: [
      ("", 0), ("  ", 2), ("nul", 3), ("nulL", 3), ("01", 1), ("-", 1), ("1.", 2), (".5", 0), ("1e", 2), ("+1", 0),
      ("1e999", 0), ("NaN", 0), ("Infinity", 0), ("'a'", 0), ("\"a", 2), ("\"a\nb\"", 2), (#""\x41""#, 2),
      (#""\u12"#, 5), (#""\u12g4""#, 5), (#""\ud800""#, 7), (#""\ud800\n""#, 8), (#""\ud800\u0041""#, 13),
      (#""\udc00""#, 7), ("[1,]", 3), ("[1 2]", 3), ("[", 1), ("{", 1), ("{1:2}", 1), (#"{"a" 1}"#, 5),
      (#"{"a":1,}"#, 7),
      (#"{"a":1,"a":2}"#, 7), ("1 1", 2), ("// no\n1", 0), ("{}]", 2),
    ])
  func aMistakeIsAnErrorWithItsByteOffset(text: String, offset: Int) {
    let error = #expect(throws: InputError.self) { try Self.parse(text) }
    #expect(error?.place == "test.json, byte \(offset)")
  }

  @Test("Invalid UTF-8 is an error") func invalidUTF8IsAnError() {
    #expect(throws: InputError.self) { try JSON.parse([0x22, 0xC3, 0x28, 0x22], place: "test.json") }
    #expect(throws: InputError.self) { try JSON.parse([0xFF], place: "test.json") }
  }

  @Test("Nesting is bounded") func nestingIsBounded() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try Self.parse(nested(JSON.depthMax))
    #expect(throws: InputError.self) { try Self.parse(nested(JSON.depthMax + 1)) }
    #expect(throws: InputError.self) { try Self.parse(String(repeating: "[", count: 1_000_000)) }
    #expect(throws: InputError.self) { try Self.parse(String(repeating: #"{"a":"#, count: 1_000_000)) }
  }

  @Test("A document that is truncated at any byte is an error") func aTruncatedDocumentIsAnErrorAtEveryByte() throws {
    let text = Array(#"{"a": [1, -2.5e3, "\u0041\ud83d\ude00é"], "b": {"c": true, "d": null}}"#.utf8)
    _ = try JSON.parse(text, place: "test.json")
    for length in 0..<text.count {
      #expect(throws: InputError.self) { try JSON.parse(Array(text[..<length]), place: "test.json") }
    }
  }

  @Test("Writing and reading a document gives its value back", arguments: [false, true])
  func writingAndReadingGivesTheValueBack(pretty: Bool) throws {
    let value = JSON.object([
      "text": .string("quote \" backslash \\ newline \n bell \u{7} é 😀"),
      "numbers": .array([.integer(.min), .number(0.1)]),
      "whole": .number(100_000), "small": .number(1e-5), "empty": .object([:]), "none": .array([]), "yes": .bool(true),
      "null": .null,
    ])
    #expect(try JSON.parse(value.serialized(pretty: pretty), place: "test.json") == value)
  }

  @Test("Keys are sorted, and pretty text is indented") func keysAreSortedAndPrettyTextIsIndented() {
    let value = JSON.object(["b": .array([.integer(1), .integer(2)]), "a": .null, "c": .object([:])])
    #expect(String(decoding: value.serialized(), as: UTF8.self) == #"{"a":null,"b":[1,2],"c":{}}"#)
    let pretty = "{\n  \"a\": null,\n  \"b\": [\n    1,\n    2\n  ],\n  \"c\": {}\n}\n"
    #expect(String(decoding: value.serialized(pretty: true), as: UTF8.self) == pretty)
  }

  @Test("NaN and infinity are written as null") func notANumberIsWrittenAsNull() {
    #expect(JSON.array([.number(.nan), .number(.infinity)]).serialized() == Array("[null,null]".utf8))
  }

  @Test("Fields are read by type, and errors name the key") func fieldsAreReadByTypeAndErrorsNameTheKey() throws {
    let value = try Self.parse(#"{"n": 3, "x": 1.5, "whole": 4.0, "s": "t", "no": null}"#)
    #expect(try value.required("n", Int.self, at: "f") == 3)
    #expect(try value.required("n", Double.self, at: "f") == 3)
    #expect(try value.required("whole", Int.self, at: "f") == 4)
    #expect(try value.optional("no", Int.self, at: "f") == nil)
    #expect(try value.optional("absent", Int.self, at: "f") == nil)
    let error = #expect(throws: InputError.self) { try value.required("x", Int.self, at: "f.json") }
    #expect(error?.place == "f.json, key x")
    #expect(throws: InputError.self) { try value.required("absent", Int.self, at: "f") }
    #expect(throws: InputError.self) { try value.required("no", Int.self, at: "f") }
    #expect(throws: InputError.self) { try value.optional("s", Bool.self, at: "f") }
    #expect(throws: InputError.self) { try JSON.null.optional("s", Bool.self, at: "f") }
  }
}
