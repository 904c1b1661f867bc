import Architecture
import Foundation
import Learner
import ModelFiles
import Runs
import Support
import Synchronization
import Tensor
import Testing
import Training
import Wire

private let fileNames = [
  "config.json", "model.safetensors", "master_weights.safetensors", "adamw_first_moments.safetensors",
  "adamw_second_moments.safetensors", "trainer_state.json", "MANIFEST.json",
]

/// Contents that differ from step to step.
private func contents(_ step: UInt32, moments: Precision = .float32) -> CheckpointStore.Contents {
  func parameters(_ salt: UInt32) -> ParameterSet {
    let set = ParameterSet(config: TinyPolicy.config)
    var random = RandomStream(seed: 1, purpose: .test, step, salt)
    for index in set.parameters.indices {
      for i in set.scalars(index).indices { set.scalars(index)[i] = random.uniform() }
    }
    return set
  }
  return CheckpointStore.Contents(
    state: TrainerState(
      nextStep: step, policyVersion: PolicyVersion(UInt64(step)), threshold: 0.1 + Float(step) / 3,
      cursor: UInt64(step) * 8, updateCount: UInt64(step), samplesTrained: 64, tokensTrained: 1 << 40,
      settingsDigest: "abc",
      lastCompleted: StepCompleted(step: step - 1, version: PolicyVersion(UInt64(step)), metrics: ["loss": -0.1])),
    masterWeights: parameters(1), firstMoments: MomentSet(rounding: parameters(2), precision: moments),
    secondMoments: MomentSet(rounding: parameters(3), precision: moments))
}

/// As `ModelSaver` does, without a tokenizer.
private func writeModel(_ contents: CheckpointStore.Contents) -> (String) throws -> Void {
  { folder in
    try Data("{}".utf8).write(to: URL(fileURLWithPath: "\(folder)/config.json"))
    try SafetensorsFile.write(contents.masterWeights, to: "\(folder)/model.safetensors", encoding: .bfloat16)
  }
}

extension CheckpointStore {
  fileprivate func save(step: UInt32) throws {
    let contents = contents(step)
    try save(contents, writeModel: writeModel(contents))
  }

  fileprivate func newestStep() -> UInt32? {
    folder.newestValid().path.flatMap { UInt32($0.suffix(6)) }
  }
}

private func entries(_ folder: String) -> [String] {
  (try? FileManager.default.contentsOfDirectory(atPath: folder).sorted()) ?? []
}

@Suite("Checkpoints")
struct CheckpointStoreTests {
  private let temporary = TemporaryFolder()
  private var folder: String { "\(temporary.path)/checkpoints" }

  @Test("come back to the bit", arguments: Precision.allCases)
  func roundTrip(moments: Precision) throws {
    let store = CheckpointStore(CheckpointFolder(folder), keep: 2)
    let saved = contents(20, moments: moments)
    try store.save(saved, writeModel: writeModel(saved))
    #expect(entries(folder) == ["step-000020"])
    #expect(entries("\(folder)/step-000020") == fileNames.sorted())
    let newest = try #require(store.folder.newestValid().path)
    let loaded = try CheckpointStore.load(newest, config: TinyPolicy.config, moments: moments)
    #expect(loaded.state == saved.state)
    #expect(loaded.masterWeights.bits == saved.masterWeights.bits)
    for index in saved.masterWeights.parameters.indices {
      #expect(Array(loaded.firstMoments.bytes(index)) == Array(saved.firstMoments.bytes(index)))
      #expect(Array(loaded.secondMoments.bytes(index)) == Array(saved.secondMoments.bytes(index)))
    }
  }

  @Test("name an adapter's weights as PEFT does")
  func adapterName() {
    #expect(CheckpointFolder.FileName.adapter == AdaptedModel.FileName.weights)
  }

  @Test("keep every threshold to the bit")
  func thresholds() throws {
    var random = RandomStream(seed: 5, purpose: .test)
    for _ in 0..<1_000 {
      let value = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
      guard value.isFinite else { continue }
      let text = TrainerState(threshold: value).json.serialized()
      let back = try TrainerState(json: JSON.parse(text, place: "test"), place: "test")
      #expect(back.threshold?.bitPattern == value.bitPattern)
    }
  }

  @Test("stay: the newest N and the best")
  func keep() throws {
    let store = CheckpointStore(CheckpointFolder(folder), keep: 2)
    for step in [10, 20, 30] as [UInt32] { try store.save(step: step) }
    #expect(store.folder.steps == [20, 30])
    try store.setBest(CheckpointFolder.Best(step: 20, accuracy: 0.5))
    for step in [40, 50] as [UInt32] { try store.save(step: step) }
    #expect(store.folder.steps == [20, 40, 50])
    try store.setBest(CheckpointFolder.Best(step: 50, accuracy: 0.75))
    try store.save(step: 60)
    #expect(store.folder.steps == [50, 60])
    #expect(store.folder.best == CheckpointFolder.Best(step: 50, accuracy: 0.75))
  }

  @Test("that are damaged in any file are passed over by name, and the one before is used", arguments: fileNames)
  func corrupt(_ name: String) throws {
    let store = CheckpointStore(CheckpointFolder(folder), keep: 2)
    try store.save(step: 10)
    try store.save(step: 20)
    let path = "\(folder)/step-000020/\(name)"
    let intact = try #require(FileManager.default.contents(atPath: path))
    var damaged: [(String, Data?)] = [
      ("missing", nil), ("empty", Data()), ("truncated", intact.dropLast(8)), ("longer", intact + Data([0])),
    ]
    for at in [0, intact.count / 2, intact.count - 2] {
      var flipped = intact
      flipped[flipped.startIndex + at] ^= 1
      // White space between a manifest's words carries nothing.
      if name != "MANIFEST.json" || at == 0 { damaged.append(("flipped at \(at)", flipped)) }
    }
    // A longer manifest is refused as a document, a longer file by its size.
    for (what, bytes) in damaged {
      try? FileManager.default.removeItem(atPath: path)
      if let bytes { try bytes.write(to: URL(fileURLWithPath: path)) }
      let (newest, passedOver) = store.folder.newestValid()
      #expect(newest == "\(folder)/step-000010", "\(what)")
      #expect(passedOver.count == 1)
      #expect(passedOver.first?.place.contains(path) == true, "\(what): \(passedOver)")
    }
    try intact.write(to: URL(fileURLWithPath: path))
    #expect(store.newestStep() == 20)
  }

  @Test("with a manifest that leaves a file out, or points outside, are refused")
  func manifest() throws {
    let store = CheckpointStore(CheckpointFolder(folder), keep: 2)
    try store.save(step: 20)
    let path = "\(folder)/step-000020/MANIFEST.json"
    let text = String(decoding: try #require(FileManager.default.contents(atPath: path)), as: UTF8.self)
    for changed in [
      text.replacingOccurrences(of: "trainer_state.json", with: "config2.json"),
      text.replacingOccurrences(of: "\"config.json", with: "\"../config.json"),
      text.replacingOccurrences(of: "\"format\": 1", with: "\"format\": 2"),
    ] {
      #expect(changed != text)
      try changed.write(toFile: path, atomically: true, encoding: .utf8)
      #expect(throws: InputError.self) { try CheckpointFolder.verify("\(folder)/step-000020") }
    }
  }

  @Test("survive a crash at any moment of a save", arguments: CheckpointStore.WriteStage.allCases)
  func crash(_ stage: CheckpointStore.WriteStage) throws {
    let (folder, snapshot) = (folder, "\(temporary.path)/crashed")
    let store = CheckpointStore(CheckpointFolder(folder), keep: 1) { _ in
      nil
    } atStage: {
      // What a machine that loses its process now would find.
      if $0 == stage, !FileManager.default.fileExists(atPath: snapshot) {
        try FileManager.default.copyItem(atPath: folder, toPath: snapshot)
      }
    }
    let undisturbed = CheckpointStore(CheckpointFolder(folder), keep: 1)
    try undisturbed.save(step: 10)
    try store.save(step: 20)
    try #require(FileManager.default.fileExists(atPath: snapshot))

    let restarted = CheckpointStore(CheckpointFolder(snapshot), keep: 1)
    let isNew = stage == .renamed || stage == .pruned
    #expect(restarted.newestStep() == (isNew ? 20 : 10))
    try restarted.recover()
    #expect(entries(snapshot).allSatisfy { $0.hasPrefix("step-") }, "\(entries(snapshot))")
    #expect(restarted.newestStep() == (isNew ? 20 : 10))
    try restarted.save(step: 30)
    #expect(entries(snapshot) == ["step-000030"])
  }

  @Test("replace one of the same step, and a crash between the two renames loses neither")
  func replaced() throws {
    let (folder, snapshot) = (folder, "\(temporary.path)/crashed")
    try CheckpointStore(CheckpointFolder(folder), keep: 1).save(step: 10)
    let store = CheckpointStore(CheckpointFolder(folder), keep: 1) { _ in
      nil
    } atStage: {
      if $0 == .earlierRenamed { try FileManager.default.copyItem(atPath: folder, toPath: snapshot) }
    }
    try store.save(step: 10)
    #expect(entries(folder) == ["step-000010"])
    let restarted = CheckpointStore(CheckpointFolder(snapshot), keep: 1)
    #expect(restarted.newestStep() == nil)
    try restarted.recover()
    #expect(restarted.newestStep() == 10)
    #expect(entries(snapshot) == ["step-000010"])
  }

  @Test(
    "that fail to be written leave the last good one, and nothing else", arguments: CheckpointStore.WriteStage.allCases)
  func fails(_ stage: CheckpointStore.WriteStage) throws {
    guard stage != .renamed, stage != .pruned, stage != .earlierRenamed else { return }
    try CheckpointStore(CheckpointFolder(folder), keep: 1).save(step: 10)
    let store = CheckpointStore(CheckpointFolder(folder), keep: 1) { _ in
      nil
    } atStage: {
      if $0 == stage { throw InputError("write file", at: "x", expected: "room", found: "No space left on device") }
    }
    #expect(throws: InputError.self) { try store.save(step: 20) }
    #expect(entries(folder) == ["step-000010"])
    #expect(store.newestStep() == 10)
  }

  @Test("are not begun when the disk has no room for them")
  func noSpace() throws {
    try CheckpointStore(CheckpointFolder(folder), keep: 1).save(step: 10)
    let store = CheckpointStore(CheckpointFolder(folder), keep: 1, availableBytes: { _ in 1 << 20 }, atStage: { _ in })
    let error = #expect(throws: InputError.self) { try store.save(step: 20) }
    #expect(error?.expected.contains("of free space") == true)
    #expect(error?.found == "1 MiB")
    #expect(entries(folder) == ["step-000010"])
  }

  @Test("cannot be made where a file is in the way, and say so")
  func unwritable() throws {
    try Data().write(to: URL(fileURLWithPath: folder))
    let error = #expect(throws: InputError.self) {
      try CheckpointStore(CheckpointFolder(folder), keep: 1).save(step: 20)
    }
    #expect(error?.place == folder)
  }
}

@Suite("The trainer's state as a file")
struct TrainerStateTests {
  @Test(
    "names the key that makes no sense",
    arguments: [
      ("next_step", JSON.integer(-1)), ("next_step", .integer(1 << 33)), ("policy_version", .string("3")),
      ("tau", .string("x")), ("cursor", .null), ("update_count", .number(0.5)), ("settings_digest", .integer(3)),
      ("format", .integer(2)),
    ])
  func malformed(_ key: String, _ value: JSON) {
    var members = TrainerState(nextStep: 3).json.object ?? [:]
    members[key] = value
    let error = #expect(throws: InputError.self) { try TrainerState(json: .object(members), place: "file") }
    #expect(error?.place.contains(key) == true)
  }
}
