import Imaging
import Prompts
import Support
import Tasks
import Testing

/// Pictures of one colour each, and rows about them.
private func png(_ shade: UInt8) -> [UInt8] {
  ImageFile.png(Image(width: 3, height: 2, pixels: [UInt8](repeating: shade, count: 18)))
}

private func row(
  _ images: [String], question: String = "Which?\nA. One\nB. Two\nC. Three", answer: String = "B",
  _ more: [String: JSON] = [:]
) -> JSON {
  let turns = [("human", question), ("gpt", answer)].map { role, value in
    JSON.object(["from": .string(role), "value": .string(value)])
  }
  return .object(
    ["image": .array(images.map { .string($0) }), "conversations": .array(turns), "reason": "Because."].merging(more) {
      $1
    })
}

extension JSON: ExpressibleByStringLiteral {
  public init(stringLiteral value: String) { self = .string(value) }
}

private func encoded(_ shade: UInt8) -> String { Base64.encode(png(shade)) }

private func statistics(
  _ rows: [JSON], name: String = "data.json", check: MMRetinalReasonFile.ImageCheck = .headers
) throws -> (MMRetinalReasonStatistics, [MMRetinalReasonRow]) {
  let folder = try TemporaryDataFolder()
  return try statistics(JSON.array(rows).serialized(), in: folder, name: name, check: check)
}

private func statistics(
  _ bytes: [UInt8], in folder: TemporaryDataFolder, name: String = "data.json",
  check: MMRetinalReasonFile.ImageCheck = .headers
) throws -> (MMRetinalReasonStatistics, [MMRetinalReasonRow]) {
  let file = try MMRetinalReasonFile(path: try folder.write(bytes, to: name))
  var statistics = MMRetinalReasonStatistics()
  var rows: [MMRetinalReasonRow] = []
  try file.forEachRow(check: check) { place, row in
    statistics.add(row)
    guard case .success((let row, _)) = row else { return }
    let again = try file.row(at: place)
    #expect(again == row)
    rows.append(row)
  }
  return (statistics, rows)
}

@Suite struct MMRetinalReasonRowTests {
  @Test("images are base64, data URIs, files next to the JSON, and entries of a table of its name")
  func images() throws {
    let folder = try TemporaryDataFolder()
    try folder.write(png(1), to: "pictures/one.png")
    try folder.write(Array(",base64\n\"a,\"\"b\"\".png\",\(encoded(2))\r\nc.png,\(encoded(3))".utf8), to: "data.csv")
    let rows = [
      row([encoded(9), "data:image/png;base64," + encoded(8), "pictures/one.png", "a,\"b\".png", "c.png"]),
      .object(["image": "c.png", "conversations": row(["x"])["conversations"]!]),
    ]
    let (found, good) = try statistics(JSON.array(rows).serialized(), in: folder)
    #expect(found.badRowCount == 0, "\(found.errors)")
    #expect(found.imagesPerRow == [0, 1, 0, 0, 0, 1, 0])
    #expect(found.formats == [.png: 6])
    let file = try MMRetinalReasonFile(path: folder.path + "/data.json")
    #expect(try file.images(of: good[0]).map(\.bytes) == [9, 8, 1, 2, 3].map { png($0) })
  }

  @Test(
    "question types follow from the answer, the options, the file's name, and the key",
    arguments: [
      ("Which?\nA. One\nB. Two", "B", "data.json", nil as String?, QuestionType.singleChoice, "B"),
      ("So?\nA. True\nB. False", "A", "data.json", nil, .trueFalse, "A"),
      ("So? (A) Yes (B) No", "(b)", "data.json", nil, .trueFalse, "B"),
      ("Which?\nA) One\nB) Two\nC) Three", "C, A", "data.json", nil, .multipleChoice, "A,C"),
      ("Which?\nA. One\nB. Two", "A", "multi_choice_test_data_CFP.json", nil, .multipleChoice, "A"),
      ("What is it?", "Papilledema", "data.json", nil, .openEnded, "Papilledema"),
      ("Which? A: One B: Two", "B", "data.json", "multiple_choice", .multipleChoice, "B"),
      ("Which?\nA. One\nB. Two", "<think>x</think><answer> B </answer>", "data.json", nil, .singleChoice, "B"),
    ])
  func types(
    _ question: String, _ answer: String, _ name: String, _ key: String?, _ type: QuestionType, _ wanted: String
  )
    throws
  {
    let one = row([encoded(1)], question: question, answer: answer, key.map { ["type": .string($0)] } ?? [:])
    let (found, rows) = try statistics([one], name: name)
    #expect(found.badRowCount == 0, "\(found.errors)")
    #expect(rows.first?.type == type)
    #expect(rows.first?.answer == wanted)
  }

  @Test(
    "modality and domain follow from the key, the file's name, the image's path, or the case",
    arguments: [
      ("data.json", "CFP/IDRiD/1.png", [:], Modality.cfp, Domain.outOfDomain),
      ("data.json", "x/APTOS_12.png", [:], .cfp, .inDomain),
      ("data.json", "x/Retinal_OCT-C8/1.png", [:], .oct, .inDomain),
      ("single_choice_test_data_FFA.json", "1.png", [:], .ffa, .unknown),
      ("oct_out_of_domain.json", "1.png", [:], .oct, .outOfDomain),
      ("data.json", "1.png", ["modality": "oct", "domain": "in_domain"], .oct, .inDomain),
      ("data.json", "1.png", ["pmcid": "PMC123"], .complex, .unknown),
      ("data.json", "1.png", [:], .unknown, .unknown),
    ] as [(String, String, [String: String], Modality, Domain)])
  func subsets(_ name: String, _ image: String, _ keys: [String: String], _ modality: Modality, _ domain: Domain) throws
  {
    let (found, rows) = try statistics([row([image], keys.mapValues { .string($0) })], name: name, check: .none)
    #expect(found.badRowCount == 0, "\(found.errors)")
    #expect(rows.first?.modality == modality)
    #expect(rows.first?.domain == domain)
  }

  static let bad: [(String, JSON)] = [
    ("image", row([])), ("image", row((0..<7).map { encoded($0) })),
    ("image[0]", row([encoded(1) + "!"])), ("image[1]", row([encoded(1), String(encoded(2).prefix(40))])),
    ("image[0]", row(["missing.png"])), ("image[0]", row([Base64.encode(Array(png(1).prefix(60)))])),
    ("image[0]", .object(["image": .array([.integer(3)]), "conversations": row(["x"])["conversations"]!])),
    ("conversations", .object(["image": .array([.string(encoded(1))])])),
    ("conversations[0].value", row([encoded(1)], question: "  ")),
    ("conversations[0].value", row([encoded(1)], question: "<image> and <image>?\nA. a\nB. b")),
    ("conversations[1].value", row([encoded(1)], answer: "D")),
    ("conversations[1].value", row([encoded(1)], answer: "A,A")),
    ("conversations[1].value", row([encoded(1)], question: "What?", answer: "...")),
    ("conversations[1].value", row([encoded(1)], answer: "A,B", ["type": "single_choice"])),
    ("conversations[1].value", row([encoded(1)], answer: "<answer> </answer>")),
    ("type", row([encoded(1)], ["type": "essay"])), ("modality", row([encoded(1)], ["modality": "MRI"])),
    ("reason", row([encoded(1)], ["reason": .integer(1)])), ("an object", .integer(5)), ("an object", "text"),
  ]

  @Test("a bad row is named by its number and key, and the next one is read", arguments: 0..<bad.count)
  func badRows(_ index: Int) throws {
    let (key, one) = Self.bad[index]
    let (found, rows) = try statistics([row([encoded(1)]), one, row([encoded(2)])], check: .pixels)
    #expect(found.rowCount == 3)
    #expect(found.badRowCount == 1)
    #expect(rows.count == 2)
    let error = try #require(found.errors.first)
    #expect("\(error)".contains("row 1"), "\(error)")
    #expect("\(error)".contains(key), "\(error)")
    #expect(!error.expected.isEmpty, "\(error)")
    #expect(!error.found.isEmpty, "\(error)")
    #expect(error.expected != error.found, "\(error)")
  }

  @Test("a row that is not JSON costs only itself, when its brackets add up")
  func brokenJSON() throws {
    let text =
      "[ {\"a\": tru}, \(String(decoding: row([encoded(1)]).serialized(), as: UTF8.self)) ,\n {\"b\": [1,}, 2] ]"
    let (found, rows) = try statistics(Array(text.utf8), in: TemporaryDataFolder())
    #expect(found.rowCount == 3, "\(found)")
    #expect(found.badRowCount == 2, "\(found)")
    #expect(rows.count == 1, "\(found)")
  }

  @Test(
    "a file that cannot be read on is refused",
    arguments: [
      "", "{}", "[", "[{}", "[{},", "[{},]", "[,]", "[{}]x", "[{}}]", "[\"a]", "null", "[[[[", "[1 2", "[{}] []",
    ])
  func brokenFiles(_ text: String) throws {
    let folder = try TemporaryDataFolder()
    #expect(throws: InputError.self) { try statistics(Array(text.utf8), in: folder) }
  }

  @Test("rows longer than a chunk, brackets in strings and a byte order mark are no obstacle")
  func longRows() throws {
    let padding = String(repeating: "]},{[\\\"", count: 300_000)
    let rows = [
      row([encoded(1)], ["x": .string(padding)]), row([encoded(2)]), row([encoded(3)], ["x": .string(padding)]),
    ]
    let bytes = [0xEF, 0xBB, 0xBF] + JSON.array(rows).serialized(pretty: true)
    let (found, good) = try statistics(bytes, in: TemporaryDataFolder())
    #expect(bytes.count > 4 << 20, "\(found.errors)")
    #expect(found.badRowCount == 0, "\(found.errors)")
    #expect(good.count == 3, "\(found.errors)")
  }

  @Test("a file cut anywhere, or with flipped bits, gives rows or errors, never a trap")
  func fuzz() throws {
    let folder = try TemporaryDataFolder()
    let bytes = JSON.array([row([encoded(1), encoded(2)]), row(["x.png"], answer: "A,C")]).serialized()
    for count in 0..<bytes.count {
      #expect(throws: InputError.self) { try statistics(Array(bytes.prefix(count)), in: folder) }
    }
    var random = RandomStream(seed: 2, purpose: .test)
    for _ in 0..<1000 {
      var broken = bytes
      broken[Int(random.integer(below: UInt64(bytes.count)))] = UInt8(random.integer(below: 256))
      do { _ = try statistics(broken, in: folder, check: .pixels) } catch is InputError {}
    }
  }
}

@Suite struct MMRetinalReasonDatasetTests {
  private func file(_ rows: [JSON], in folder: TemporaryDataFolder, name: String = "data.json") throws -> TaskSettings {
    var settings = TaskSettings()
    settings.name = "mm_retinal_reason"
    settings.heldOutShare = 0.3
    settings.trainFile = try folder.write(JSON.array(rows).serialized(), to: name)
    return settings
  }

  private let rows = (0..<40).map { index in
    row([encoded(UInt8(index / 2))], question: "Question \(index)?\nA. a\nB. b", answer: index % 2 == 0 ? "A" : "B")
  }

  @Test("no image is asked about on both sides, and the split does not depend on the seed")
  func split() throws {
    let folder = try TemporaryDataFolder()
    let settings = try file(rows, in: folder)
    let dataset = try makeDataset(settings, seed: 1)
    let heldOut = (0..<dataset.heldOutCount).map { dataset.heldOutPrompt(at: $0) }
    let training = (0..<UInt64(40 - dataset.heldOutCount)).map { dataset.trainingPrompt(at: $0) }
    #expect(heldOut.count % 2 == 0)
    #expect((2...24).contains(heldOut.count))
    #expect(Set((heldOut + training).map { $0.messages.last!.content }).count == 40)
    #expect(Set(heldOut.flatMap(\.images)).isDisjoint(with: training.flatMap(\.images)))
    let other = try makeDataset(settings, seed: 2)
    #expect((0..<other.heldOutCount).map { other.heldOutPrompt(at: $0) } == heldOut)
  }

  @Test("images come after the text unless the question places them, and the reward knows the options")
  func prompts() throws {
    let folder = try TemporaryDataFolder()
    let placed = row([encoded(1), encoded(2)], question: "<image> or <image>?\nA. a\nB. b")
    var settings = try file([row([encoded(3), encoded(4)]), placed], in: folder, name: "train.json")
    settings.heldOutFile = settings.trainFile
    settings.trainFile = try folder.write(JSON.array([row([encoded(7)])]).serialized(), to: "other.json")
    let dataset = try makeDataset(settings, seed: 1)
    let appended = dataset.heldOutPrompt(at: 0)
    #expect(appended.messages.last!.content.hasSuffix("<image><image>"))
    #expect(appended.images.map(\.bytes) == [png(3), png(4)])
    #expect(appended.reward.options["option_count"] == "3")
    #expect(dataset.heldOutPrompt(at: 1).messages.last!.content.hasPrefix("<image> or <image>?"))
    #expect(PromptImage.placeholderCount(in: dataset.heldOutPrompt(at: 1).messages.last!.content) == 2)
    let right = Scorer.score(text: "<think>x</think><answer>B</answer>", appended.reward)
    #expect(right.accuracy == 1)
    #expect(right.format == 1)
  }

  @Test("modalities, domains and question types are chosen by the settings")
  func selection() throws {
    let folder = try TemporaryDataFolder()
    var settings = try file(
      rows + [row([encoded(200)], question: "What?", answer: "Drusen", ["modality": "OCT"])], in: folder)
    settings.questionTypes = ["open_ended"]
    #expect(throws: InputError.self) { try makeDataset(settings, seed: 1) }  // one row cannot be split
    settings.questionTypes = []
    settings.modalities = ["unknown"]
    let dataset = try makeDataset(settings, seed: 1)
    let all = (0..<100).map { dataset.trainingPrompt(at: $0) }
    #expect(all.allSatisfy { $0.reward.kind == "single_choice" })
    settings.modalities = ["MRI"]
    #expect(throws: InputError.self) { try makeDataset(settings, seed: 1) }
  }

  @Test("bad rows refuse the file, unless they are to be left out")
  func badRows() throws {
    let folder = try TemporaryDataFolder()
    var settings = try file(rows + [.integer(3)], in: folder)
    do {
      _ = try makeDataset(settings, seed: 1)
      Issue.record("the bad row was accepted")
    } catch {
      #expect("\(error)".contains("1 bad of 41 rows"), "\(error)")
      #expect("\(error)".contains("row 40"), "\(error)")
    }
    settings[MMRetinalReasonOptions.self].skipBadRows = true
    #expect(throws: Never.self) { try makeDataset(settings, seed: 1) }
  }

  @Test("a row that vanished meanwhile is a question without a right answer")
  func vanished() throws {
    let folder = try TemporaryDataFolder()
    let settings = try file(rows, in: folder)
    let dataset = try makeDataset(settings, seed: 1)
    try folder.write(Array("[]".utf8), to: "data.json")
    let prompt = dataset.trainingPrompt(at: 5)
    let score = Scorer.score(text: "<think>x</think><answer>A</answer>", prompt.reward)
    if prompt.images.count != 1 {
      #expect(prompt.id == 5)
      #expect(!prompt.messages.isEmpty)
      #expect(score.reward == 0)
    }
  }
}
