import Architecture
import Foundation
import ModelFiles
import Runs
import Support
import Tensor
import Training
import Wire

/// Saves and loads the checkpoints of a run; `CheckpointFolder` finds them.
///
/// A checkpoint is a Hugging Face folder that other tools open as it is: the weights that the policy computes with, or
/// an adapter as PEFT saves it, the configuration and the tokenizer. Next to these it holds the fp32 master weights,
/// both AdamW moments in their precision, the trainer's state and a manifest with checksums.
///
/// Invariants:
/// - A folder named `step-*` is complete: it is written under another name, every file and the folder reach the disk,
///   and then it is renamed. A name that starts with a dot is left over from a process that died, and `recover` removes
///   it.
/// - What fails (no space, no permission) throws and leaves the earlier checkpoints as they were.
/// - The newest `keep` and the best evaluated one stay; a removed one is renamed first, so that it is never half there.
public struct CheckpointStore: Sendable {
  package typealias FileName = CheckpointFolder.FileName

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

  /// The moments of a save at which tests look at what a crash would leave.
  package enum WriteStage: CaseIterable, Sendable {
    case modelWritten, masterWeightsWritten, momentsWritten, stateWritten, manifestWritten, earlierRenamed, renamed,
      pruned
  }

  /// Where the checkpoints are.
  public let folder: CheckpointFolder
  /// The number of newest ones that stay.
  public let keep: Int
  private let availableBytes: @Sendable (String) -> UInt64?
  private let atStage: @Sendable (WriteStage) throws -> Void

  /// - Parameters:
  ///   - folder: made when the first checkpoint is saved.
  ///   - keep: at least 1.
  public init(_ folder: CheckpointFolder, keep: Int) {
    self.init(folder, keep: keep, availableBytes: Files.availableByteCount(at:), atStage: { _ in })
  }

  package init(
    _ folder: CheckpointFolder, keep: Int,
    availableBytes: @escaping @Sendable (String) -> UInt64? = Files.availableByteCount(at:),
    atStage: @escaping @Sendable (WriteStage) throws -> Void
  ) {
    self.folder = folder
    self.keep = max(1, keep)
    self.availableBytes = availableBytes
    self.atStage = atStage
  }

  // MARK: Save

  /// Saves a checkpoint, then removes those that need not stay.
  ///
  /// - Parameter writeModel: writes the Hugging Face files (configuration, tokenizer, weights) into the folder.
  /// - Throws: `InputError`; what was there before is untouched.
  public func save(_ contents: Contents, writeModel: (_ folder: String) throws -> Void) throws {
    try Files.makeFolder(folder.path)
    try recover()
    let step = contents.state.nextStep
    try checkSpace(contents)
    let temporary = "\(folder.path)/.writing-\(CheckpointFolder.name(step: step))"
    do {
      try Files.makeFolder(temporary)
      try write(contents, to: temporary, writeModel: writeModel)
      try putInPlace(temporary, step: step)
    } catch {
      try? FileManager.default.removeItem(atPath: temporary)
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

  private func write(_ contents: Contents, to temporary: String, writeModel: (String) throws -> Void) throws {
    try writeModel(temporary)
    try atStage(.modelWritten)
    try SafetensorsFile.write(contents.masterWeights, to: "\(temporary)/\(FileName.masterWeights)", encoding: .float32)
    try atStage(.masterWeightsWritten)
    try write(contents.firstMoments, to: "\(temporary)/\(FileName.firstMoments)")
    try write(contents.secondMoments, to: "\(temporary)/\(FileName.secondMoments)")
    try atStage(.momentsWritten)
    try Files.write(contents.state.json.serialized(pretty: true), to: "\(temporary)/\(FileName.trainerState)")
    try atStage(.stateWritten)
    let files = try Files.names(in: temporary)
    for name in files { try Files.synchronize("\(temporary)/\(name)") }
    let manifest = try CheckpointManifest(folder: temporary, names: files)
    try Files.write(manifest.json.serialized(pretty: true), to: "\(temporary)/\(CheckpointManifest.fileName)")
    try atStage(.manifestWritten)
    try Files.synchronize(temporary)
  }

  /// Gives the finished folder its name. One of the same name (left by an earlier life of the run) is renamed first,
  /// and `recover` moves it back if the process dies in between.
  private func putInPlace(_ temporary: String, step: UInt32) throws {
    let target = folder.path(step: step)
    let replaced = "\(folder.path)/.replaced-\(CheckpointFolder.name(step: step))"
    let exists = Files.exists(target)
    if exists { try Files.move(target, to: replaced) }
    try atStage(.earlierRenamed)
    try Files.move(temporary, to: target)
    try Files.synchronize(folder.path)
    try atStage(.renamed)
    if exists { try? FileManager.default.removeItem(atPath: replaced) }
  }

  /// Removes what need not stay.
  private func prune() throws {
    let best = folder.best?.step
    for step in folder.steps.dropLast(keep) where step != best {
      let removed = "\(folder.path)/.removing-\(CheckpointFolder.name(step: step))"
      try Files.move(folder.path(step: step), to: removed)
      try? FileManager.default.removeItem(atPath: removed)
    }
    try atStage(.pruned)
  }

  private func checkSpace(_ contents: Contents) throws {
    // bf16 weights, fp32 master weights and two moments, and room for the text files.
    let moment = contents.firstMoments.precision == .bfloat16 ? 2 : 4
    let needed = UInt64(contents.masterWeights.values.count * (2 + 4 + 2 * moment)) + (16 << 20)
    guard let available = availableBytes(folder.path), available < needed else { return }
    throw InputError(
      "save checkpoint", at: folder.path, expected: "\(needed >> 20) MiB of free space", found: "\(available >> 20) MiB"
    )
  }

  // MARK: Resume

  /// Cleans up after a process that died while it saved: completes or undoes what it had begun.
  public func recover() throws {
    for name in folder.names {
      if name.hasPrefix(".replaced-step-") {
        let target = "\(folder.path)/\(name.dropFirst(".replaced-".count))"
        if Files.exists(target) {
          try? FileManager.default.removeItem(atPath: "\(folder.path)/\(name)")
        } else {
          try Files.move("\(folder.path)/\(name)", to: target)
        }
      } else if name.hasPrefix(".writing-") || name.hasPrefix(".removing-")
        || name == FileName.best + Files.temporarySuffix
      {
        try? FileManager.default.removeItem(atPath: "\(folder.path)/\(name)")
      }
    }
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
        parameters: wanted.parameters(of: masterWeights ?? config.parameters),
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
    let bytes = try Files.read(place, operation: "read the trainer's state", byteCountMax: 1 << 20)
    return try TrainerState(json: JSON.parse(bytes, place: place), place: place)
  }

  /// Reads the trainer's state, where a folder has one.
  /// - Returns: nil for any other model.
  package static func stateIfCheckpoint(_ folder: String) throws -> TrainerState? {
    Files.exists("\(folder)/\(FileName.trainerState)") ? try state(folder) : nil
  }

  // MARK: The best checkpoint

  /// Remembers that the checkpoint after `step` steps is the best; it is not removed from now on.
  public func setBest(_ best: CheckpointFolder.Best) throws {
    try Files.makeFolder(folder.path)
    let json = JSON.object(["step": .integer(Int64(best.step)), "accuracy": .number(Double(best.accuracy))])
    try Files.write(json.serialized(pretty: true), to: "\(folder.path)/\(FileName.best)")
  }

  /// Keeps the checkpoint of a step as the best one.
  /// - Returns: whether it is there.
  func keepBest(_ best: CheckpointFolder.Best) throws -> Bool {
    guard folder.steps.contains(best.step) else { return false }
    try setBest(best)
    return true
  }
}
