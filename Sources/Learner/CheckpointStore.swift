import Architecture
import Foundation
import Glibc
import ModelFiles
import Support
import Tensor
import Training
import Wire

/// The checkpoints of a run: one folder each, `step-000020` for the state after 20 steps.
///
/// A checkpoint is a Hugging Face folder (the weights that the policy computes with, or an adapter as PEFT saves it; configuration,
/// tokenizer) that other tools open as it is, and beside these the fp32 master weights, both AdamW moments in their precision, the
/// trainer's state and a manifest with checksums.
///
/// Invariants:
/// - A folder named `step-*` is complete: it is written under another name, every file and the folder reach the disk, and
///   then it is renamed. A name that starts with a dot is left over from a process that died, and `recover` removes it.
/// - What fails (no space, no permission) throws and leaves the earlier checkpoints as they were.
/// - The newest `keep` and the best (`evaluated`) stay; a removed one is renamed first, so that it is never half there.
public struct CheckpointStore: Sendable {
  /// The files that every checkpoint has, beside those of the model's description.
  package enum FileName {
    package static let weights = "model.safetensors"
    /// Instead of the weights, where only an adapter is trained.
    package static let adapter = AdaptedModel.FileName.weights
    package static let masterWeights = "master_weights.safetensors"
    package static let firstMoments = "adamw_first_moments.safetensors"
    package static let secondMoments = "adamw_second_moments.safetensors"
    package static let trainerState = "trainer_state.json"
    package static let training = [masterWeights, firstMoments, secondMoments, trainerState]
  }

  /// What a checkpoint is made of.
  public struct Contents {
    public var state: TrainerState
    public var masterWeights: ParameterSet
    public var firstMoments: MomentSet
    public var secondMoments: MomentSet

    public init(
      state: TrainerState, masterWeights: ParameterSet, firstMoments: MomentSet, secondMoments: MomentSet
    ) {
      self.state = state
      self.masterWeights = masterWeights
      self.firstMoments = firstMoments
      self.secondMoments = secondMoments
    }
  }

  /// The best evaluated checkpoint.
  public struct Best: Equatable, Sendable {
    public var step: UInt32
    public var accuracy: Float

    public init(step: UInt32, accuracy: Float) {
      self.step = step
      self.accuracy = accuracy
    }
  }

  /// The moments of a save at which tests look at what a crash would leave.
  package enum WriteStage: CaseIterable, Sendable {
    case modelWritten, masterWeightsWritten, momentsWritten, stateWritten, manifestWritten, oneMovedAside, renamed,
      pruned
  }

  /// The folder that holds the checkpoints.
  public let folder: String
  /// The newest ones that stay.
  public let keep: Int
  private let availableBytes: @Sendable (String) -> UInt64?
  private let atStage: @Sendable (WriteStage) throws -> Void

  /// - Parameters:
  ///   - folder: made when the first checkpoint is saved.
  ///   - keep: at least 1.
  public init(folder: String, keep: Int) {
    self.init(folder: folder, keep: keep, availableBytes: availableDiskBytes, atStage: { _ in })
  }

  package init(
    folder: String, keep: Int, availableBytes: @escaping @Sendable (String) -> UInt64? = availableDiskBytes,
    atStage: @escaping @Sendable (WriteStage) throws -> Void
  ) {
    self.folder = folder
    self.keep = max(1, keep)
    self.availableBytes = availableBytes
    self.atStage = atStage
  }

  /// The folder of the checkpoint after `step` steps.
  public func path(step: UInt32) -> String { "\(folder)/\(name(step))" }

  /// The steps of all checkpoints that are there, ascending; whether they are valid is not asked.
  public var steps: [UInt32] {
    names.compactMap { name in
      guard name.hasPrefix("step-") else { return nil }
      return UInt32(name.dropFirst(5))
    }.sorted()
  }

  // MARK: Save

  /// Saves a checkpoint, then removes those that need not stay.
  ///
  /// - Parameter writeModel: writes the Hugging Face files (configuration, tokenizer, weights) into the folder.
  /// - Throws: `InputError`; what was there before is untouched.
  public func save(_ contents: Contents, writeModel: (_ folder: String) throws -> Void) throws {
    try makeFolder(folder)
    try recover()
    let step = contents.state.nextStep
    try checkSpace(contents)
    let aside = "\(folder)/.writing-\(name(step))"
    do {
      try makeFolder(aside)
      try write(contents, to: aside, writeModel: writeModel)
      try putInPlace(aside, step: step)
    } catch {
      try? FileManager.default.removeItem(atPath: aside)
      throw error
    }
    try prune()
  }

  /// Saves what is between two steps, as the training session has it.
  func save(
    _ state: TrainerState, weights: ParameterSet, optimizer: AdamW, writeModel: (_ folder: String) throws -> Void
  ) throws {
    try save(
      Contents(
        state: state, masterWeights: weights, firstMoments: optimizer.firstMoments,
        secondMoments: optimizer.secondMoments),
      writeModel: writeModel)
  }

  private func write(_ moments: MomentSet, to path: String) throws {
    try SafetensorsFile.write(
      moments.parameters, precision: moments.precision, to: path, bytes: { moments.bytes($0) })
  }

  private func write(_ contents: Contents, to aside: String, writeModel: (String) throws -> Void) throws {
    try writeModel(aside)
    try atStage(.modelWritten)
    try SafetensorsFile.write(contents.masterWeights, to: "\(aside)/\(FileName.masterWeights)", encoding: .float32)
    try atStage(.masterWeightsWritten)
    try write(contents.firstMoments, to: "\(aside)/\(FileName.firstMoments)")
    try write(contents.secondMoments, to: "\(aside)/\(FileName.secondMoments)")
    try atStage(.momentsWritten)
    try FileWriter.write(contents.state.json.serialized(pretty: true), to: "\(aside)/\(FileName.trainerState)")
    try atStage(.stateWritten)
    let files = try listing(aside)
    for name in files { try synchronize("\(aside)/\(name)") }
    let manifest = try CheckpointManifest(folder: aside, names: files)
    try FileWriter.write(manifest.json.serialized(pretty: true), to: "\(aside)/\(CheckpointManifest.fileName)")
    try atStage(.manifestWritten)
    try synchronize(aside)
  }

  /// Gives the finished folder its name. One of the same name (left by an earlier life of the run) is moved aside first, and
  /// `recover` moves it back if the process dies in between.
  private func putInPlace(_ aside: String, step: UInt32) throws {
    let target = path(step: step)
    let replaced = "\(folder)/.replaced-\(name(step))"
    let exists = FileManager.default.fileExists(atPath: target)
    if exists { try move(target, replaced) }
    try atStage(.oneMovedAside)
    try move(aside, target)
    try synchronize(folder)
    try atStage(.renamed)
    if exists { try? FileManager.default.removeItem(atPath: replaced) }
  }

  /// Removes what need not stay.
  private func prune() throws {
    let best = best?.step
    for step in steps.dropLast(keep) where step != best {
      let removed = "\(folder)/.removing-\(name(step))"
      try move(path(step: step), removed)
      try? FileManager.default.removeItem(atPath: removed)
    }
    try atStage(.pruned)
  }

  private func checkSpace(_ contents: Contents) throws {
    // bf16 weights, fp32 master weights and two moments, and room for the text files.
    let moment = contents.firstMoments.precision == .bfloat16 ? 2 : 4
    let needed = UInt64(contents.masterWeights.values.count * (2 + 4 + 2 * moment)) + (16 << 20)
    guard let available = availableBytes(folder), available < needed else { return }
    throw InputError(
      "save checkpoint", at: folder, expected: "\(needed >> 20) MiB of free space", found: "\(available >> 20) MiB")
  }

  // MARK: Resume

  /// Cleans up after a process that died while it saved: completes or undoes what it had begun.
  public func recover() throws {
    for name in names {
      if name.hasPrefix(".replaced-step-") {
        let target = "\(folder)/\(name.dropFirst(".replaced-".count))"
        if FileManager.default.fileExists(atPath: target) {
          try? FileManager.default.removeItem(atPath: "\(folder)/\(name)")
        } else {
          try move("\(folder)/\(name)", target)
        }
      } else if name.hasPrefix(".writing-") || name.hasPrefix(".removing-") {
        try? FileManager.default.removeItem(atPath: "\(folder)/\(name)")
      }
    }
  }

  /// The newest checkpoint whose files are what was written.
  /// - Returns: its folder, or nil when there is none; and why each newer one was passed over.
  public func newestValid() -> (folder: String?, passedOver: [InputError]) {
    var passedOver: [InputError] = []
    for step in steps.reversed() {
      do {
        try Self.verify(path(step: step))
        return (path(step: step), passedOver)
      } catch let error as InputError {
        passedOver.append(error)
      } catch {
        passedOver.append(
          InputError("verify checkpoint", at: path(step: step), expected: "readable files", found: "\(error)"))
      }
    }
    return (nil, passedOver)
  }

  /// Checks a checkpoint against its manifest.
  /// - Throws: `InputError` that names the file.
  public static func verify(_ folder: String) throws {
    let manifest = try CheckpointManifest(folder: folder)
    let model = manifest.files[FileName.adapter] == nil ? FileName.weights : FileName.adapter
    try manifest.verify(folder: folder, required: [model] + FileName.training)
  }

  /// Reads a checkpoint that `verify` accepted.
  /// - Parameters:
  ///   - masterWeights: their names and shapes; nil takes those of the model.
  ///   - trainable: moments are read of these parameters alone, and the checkpoint must have them.
  ///   - moments: what they are to be; exact when the checkpoint's are of that precision.
  /// - Throws: `InputError` that names the file and the tensor.
  public static func load(
    _ folder: String, config: ModelConfig, masterWeights: [ParameterShape]? = nil,
    trainable: TrainableParameters = .all, moments: Precision = .float32
  ) throws -> Contents {
    func parameters(_ name: String, _ wanted: TrainableParameters) throws -> ParameterSet {
      let path = "\(folder)/\(name)"
      return try ParameterSet(
        config: config, parameters: wanted.parameters(of: masterWeights ?? config.parameters),
        tensors: SafetensorsFile.tensors(path: path), ignoring: { !wanted.contains($0) }, place: path)
    }
    return Contents(
      state: try state(folder), masterWeights: try parameters(FileName.masterWeights, .all),
      firstMoments: MomentSet(rounding: try parameters(FileName.firstMoments, trainable), precision: moments),
      secondMoments: MomentSet(rounding: try parameters(FileName.secondMoments, trainable), precision: moments))
  }

  /// Reads the trainer's state of a checkpoint.
  package static func state(_ folder: String) throws -> TrainerState {
    let place = "\(folder)/\(FileName.trainerState)"
    return try TrainerState(
      json: JSON.parse(MappedFile.contents(of: place, byteCountMax: 1 << 20), place: place), place: place)
  }

  // MARK: The best checkpoint

  /// The best evaluated checkpoint that was kept; nil before the first, or when the file makes no sense.
  public var best: Best? {
    guard let json = document("best.json"), let step = json["step"]?.int.flatMap({ UInt32(exactly: $0) }),
      let accuracy = json["accuracy"]?.double
    else { return nil }
    return Best(step: step, accuracy: Float(accuracy))
  }

  /// Remembers that the checkpoint after `step` steps is the best; it is not removed from now on.
  public func setBest(_ best: Best) throws {
    try replace(
      "best.json", .object(["step": .integer(Int64(best.step)), "accuracy": .number(Double(best.accuracy))]))
  }

  /// Keeps the checkpoint of a step as the best one.
  /// - Returns: whether it is there.
  func keepBest(_ best: Best) throws -> Bool {
    guard steps.contains(best.step) else { return false }
    try setBest(best)
    return true
  }

  /// Where the next stage of training starts: the best checkpoint, else the newest valid one; nil where there is none.
  public var bestOrNewestValid: String? {
    if let best, (try? Self.verify(path(step: best.step))) != nil { return path(step: best.step) }
    return newestValid().folder
  }

  private func document(_ name: String) -> JSON? {
    let path = "\(folder)/\(name)"
    guard let bytes = try? MappedFile.contents(of: path, byteCountMax: 1 << 16) else { return nil }
    return try? JSON.parse(bytes, place: path)
  }

  private func replace(_ name: String, _ json: JSON) throws {
    try makeFolder(folder)
    let aside = "\(folder)/.writing-\(name)"
    try FileWriter.write(json.serialized(pretty: true), to: aside)
    try move(aside, "\(folder)/\(name)")
    try synchronize(folder)
  }

  private func name(_ step: UInt32) -> String {
    let digits = String(step)
    return "step-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
  }

  private var names: [String] { (try? listing(folder)) ?? [] }
}

// MARK: Files

/// Bytes that an unprivileged process may still write on the disk of a path; nil when the system does not tell.
@Sendable package func availableDiskBytes(_ path: String) -> UInt64? {
  var status = statvfs()
  guard statvfs(path, &status) == 0 else { return nil }
  return UInt64(status.f_bavail) &* UInt64(status.f_frsize)
}

private func failure(_ operation: String, _ path: String) -> InputError {
  InputError(operation, at: path, expected: "a writable disk with room", found: String(cString: strerror(errno)))
}

private func makeFolder(_ path: String) throws {
  do {
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  } catch {
    throw InputError(
      "make folder", at: path, expected: "a writable disk with room", found: error.localizedDescription)
  }
}

/// Names in a folder, sorted.
private func listing(_ path: String) throws -> [String] {
  do {
    return try FileManager.default.contentsOfDirectory(atPath: path).sorted()
  } catch {
    throw InputError("list folder", at: path, expected: "a readable folder", found: error.localizedDescription)
  }
}

private func move(_ from: String, _ to: String) throws {
  if rename(from, to) != 0 { throw failure("rename to \(to)", from) }
}

/// Waits until a file's bytes, or a folder's names, are on the disk.
private func synchronize(_ path: String) throws {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw failure("open", path) }
  defer { close(descriptor) }
  if fsync(descriptor) != 0 { throw failure("write to disk", path) }
}
