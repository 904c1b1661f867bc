import Support

/// The checkpoints of a run as they lie on the disk: one folder each, `step-000020` for the state after 20 steps.
///
/// This type finds and verifies them without loading a tensor, for everything that only needs to know which there are.
/// The learner's `CheckpointStore` writes and loads them, and keeps the invariant that a folder named `step-*` is
/// complete.
public struct CheckpointFolder: Equatable, Sendable {
  /// The files that every checkpoint has, next to those of the model's description.
  package enum FileName {
    package static let weights = "model.safetensors"
    /// Instead of the weights, where only an adapter is trained; PEFT's name for it.
    package static let adapter = "adapter_model.safetensors"
    package static let masterWeights = "master_weights.safetensors"
    package static let firstMoments = "adamw_first_moments.safetensors"
    package static let secondMoments = "adamw_second_moments.safetensors"
    package static let trainerState = "trainer_state.json"
    package static let training = [masterWeights, firstMoments, secondMoments, trainerState]
    /// In the folder of checkpoints itself.
    package static let best = "best.json"
  }

  /// The best evaluated checkpoint.
  public struct Best: Equatable, Sendable {
    /// The number of steps behind it.
    public var step: UInt32
    /// The held-out accuracy.
    public var accuracy: Float

    public init(step: UInt32, accuracy: Float) {
      self.step = step
      self.accuracy = accuracy
    }
  }

  /// The folder that holds the checkpoints. It need not exist.
  public let path: String

  public init(_ path: String) { self.path = path }

  /// The folder of the checkpoint after `step` steps.
  public func path(step: UInt32) -> String { "\(path)/\(Self.name(step: step))" }

  /// The name of the checkpoint after `step` steps: "step-000020".
  package static func name(step: UInt32) -> String {
    let digits = String(step)
    return "step-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
  }

  /// The steps of all checkpoints that are there, ascending, whether they are valid or not.
  public var steps: [UInt32] {
    names.compactMap { name in name.hasPrefix("step-") ? UInt32(name.dropFirst(5)) : nil }.sorted()
  }

  /// Every name in the folder, leftovers of interrupted saves among them; none where there is no folder.
  package var names: [String] { (try? Files.names(in: path)) ?? [] }

  // MARK: Validity

  /// The newest checkpoint whose files are what was written.
  /// - Returns: its folder, or nil when there is none; and why each newer one was passed over.
  public func newestValid() -> (path: String?, passedOver: [InputError]) {
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

  /// Checks the files of a checkpoint against its manifest.
  /// - Throws: `InputError` that names the file.
  public static func verify(_ checkpoint: String) throws {
    let manifest = try CheckpointManifest(folder: checkpoint)
    let model = manifest.files[FileName.adapter] == nil ? FileName.weights : FileName.adapter
    try manifest.verify(folder: checkpoint, required: [model] + FileName.training)
  }

  // MARK: The best checkpoint

  /// The best evaluated checkpoint that was kept; nil before the first, or when the file makes no sense.
  public var best: Best? {
    let place = "\(path)/\(FileName.best)"
    guard let bytes = try? Files.read(place, operation: "read the best checkpoint", byteCountMax: 1 << 16),
      let json = try? JSON.parse(bytes, place: place), let step = json["step"]?.int.flatMap({ UInt32(exactly: $0) }),
      let accuracy = json["accuracy"]?.double
    else { return nil }
    return Best(step: step, accuracy: Float(accuracy))
  }

  /// Where the next stage of training starts: the best checkpoint, else the newest valid one; nil where there is none.
  public var bestOrNewestValid: String? {
    if let best, (try? Self.verify(path(step: best.step))) != nil { return path(step: best.step) }
    return newestValid().path
  }
}
