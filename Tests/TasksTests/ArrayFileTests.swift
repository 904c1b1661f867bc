import Foundation
import Prompts
import Support
import Tasks
import Testing

private let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .appendingPathComponent("Fixtures/arrays").path

@Suite struct NPZTests {
  @Test("numpy's arrays are read back, stored and deflated", arguments: ["stored.npz", "deflated.npz"])
  func numpy(_ name: String) throws {
    let expected = try JSON.parse(
      [UInt8](Data(contentsOf: URL(fileURLWithPath: folder + "/arrays.json"))), place: "arrays.json")
    let file = try NPZFile(path: "\(folder)/\(name)")
    #expect(Set(file.names) == Set(try #require(expected.object).keys))
    for (name, one) in try #require(expected.object) {
      let array = try file.array(name)
      #expect(array.shape == one["shape"]?.array?.compactMap(\.int))
      #expect(array.element.rawValue == one["type"]?.string)
      #expect(array.doubles == one["values"]?.array?.compactMap(\.double))
    }
  }

  @Test("version 2 is read; other orders and types are refused with their name")
  func kinds() throws {
    let file = try NPZFile(path: "\(folder)/version2.npz")
    #expect(try file.array("f8").shape == [2, 3])
    for (name, word) in [
      ("fortran", "Fortran"), ("big", ">f8"), ("complex", "<c16"), ("half", "<f2"), ("other", "f8, "),
    ] {
      do {
        _ = try file.array(name)
        Issue.record("\(name) was accepted")
      } catch { #expect("\(error)".contains(word), "\(error)") }
    }
  }

  @Test("a file cut anywhere is refused", arguments: ["stored.npz", "deflated.npz"])
  func truncated(_ name: String) throws {
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
    for count in 0..<bytes.count {
      let cut = try TemporaryDataFile(Array(bytes.prefix(count)), "npz")
      #expect(throws: InputError.self, "\(count) bytes") { try NPZFile(path: cut.path) }
    }
  }

  @Test("flipped bits give the right numbers or an error, never a trap", arguments: ["stored.npz", "deflated.npz"])
  func flipped(_ name: String) throws {
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
    let sound = try NPZFile(path: "\(folder)/\(name)")
    var random = RandomStream(seed: 5, purpose: .test)
    for _ in 0..<600 {
      var broken = bytes
      broken[Int(random.integer(below: UInt64(bytes.count)))] ^= UInt8(1) << UInt8(random.integer(below: 8))
      let copy = try TemporaryDataFile(broken, "npz")
      guard let file = try? NPZFile(path: copy.path) else { continue }
      for name in file.names {
        guard let array = try? file.array(name) else { continue }
        // What is accepted has the right checksum; only its name may have changed.
        #expect(sound.names.contains { (try? sound.array($0)) == array })
      }
    }
  }

  @Test(
    "a .npy header that is not numpy's is refused",
    arguments: [
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
      "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }",
      "{'descr': '<f4', 'fortran_order': False, }",
      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
      "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x",
      "", "{", "{'descr': '<f4",
    ])
  func headers(_ header: String) {
    let bytes = Array(header.utf8)
    let file =
      [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(bytes.count & 255), UInt8(bytes.count >> 8)] + bytes
      + [UInt8](repeating: 0, count: 8)
    #expect(throws: InputError.self) { try NPYArray(file: file, place: "array") }
  }
}

@Suite struct RetinaMNISTTests {
  private func settings(_ types: [String] = []) -> TaskSettings {
    var settings = TaskSettings()
    settings.name = "retinamnist"
    settings.trainFile = folder + "/retinamnist.npz"
    settings.questionTypes = types
    return settings
  }

  @Test("the test split is held out; every image is asked its grade and a threshold")
  func heldOut() throws {
    let dataset = try makeDataset(settings(), seed: 1)
    #expect(dataset.heldOutCount == 10)
    for index in 0..<10 {
      let prompt = dataset.heldOutPrompt(at: index)
      let grade = index / 2
      #expect(prompt.images.count == 1)
      #expect(prompt.id == UInt64(index))
      #expect(PromptImage.placeholderCount(in: prompt.messages.map(\.content).joined()) == 1)
      #expect(prompt.reward.kind == (index % 2 == 0 ? "single_choice" : "true_false"))
      if index % 2 == 0 { #expect(prompt.reward.reference == ["A", "B", "C", "D", "E"][grade]) }
      let demonstration = try #require(prompt.annotation.completion)
      #expect(Scorer.score(text: demonstration, prompt.reward).accuracy == 1)
      #expect(prompt.annotation.caption?.isEmpty == false)
      let graded = Scorer.grade(text: demonstration, prompt.reward)
      #expect(graded?.given == (index % 2 == 0 ? grade : nil))
      #expect(graded?.right == graded?.given)
      if index % 2 == 1 { #expect(prompt.reward.reference == (grade >= 1 + grade % 4 ? "A" : "B")) }
    }
  }

  @Test("an epoch asks about every training image once, and prompts depend on cursor and seed only")
  func training() throws {
    let dataset = try makeDataset(settings(["single_choice"]), seed: 3)
    let again = try makeDataset(settings(["single_choice"]), seed: 3)
    let epoch = (0..<6).map { dataset.trainingPrompt(at: $0) }
    #expect(Set(epoch.map { $0.images[0].address }).count == 6)
    #expect(epoch == (0..<6).map { again.trainingPrompt(at: $0) })
    let heldOut = Set((0..<dataset.heldOutCount).map { dataset.heldOutPrompt(at: $0).images[0].address })
    #expect(heldOut.isDisjoint(with: epoch.map { $0.images[0].address }))
  }

  @Test("open-ended questions cannot be asked of it")
  func types() { #expect(throws: InputError.self) { try makeDataset(settings(["open_ended"]), seed: 1) } }

  @Test("the official file has its splits", .enabled(if: data != nil, "FOVEA_DATA is not set"))
  func official() throws {
    var settings = settings(["single_choice"])
    settings.trainFile = try #require(Self.data) + "/retinamnist.npz"
    let dataset = try makeDataset(settings, seed: 1)
    #expect(dataset.heldOutCount == 400)
    let zeros = (0..<400).count { dataset.heldOutPrompt(at: $0).reward.reference == "A" }
    #expect(zeros == 174)  // the majority's share that MedMNIST reports, 0.435
  }

  private static let data = ProcessInfo.processInfo.environment["FOVEA_DATA"]
}
