import Support
import Wire

/// Frames of peers: their bytes, and what each process makes of messages that no sound peer sends.
extension FuzzTarget {
  static let frames = [
    wire,
    FuzzTarget("coordinator") { CoordinatorUnderFuzz.run(FuzzInput($0)) },
    FuzzTarget("worker") { WorkerUnderFuzz.run(FuzzInput($0)) },
    FuzzTarget("learner") { LearnerUnderFuzz.run(FuzzInput($0)) },
    FuzzTarget("weights") { try WeightsUnderFuzz.run(FuzzInput($0)) },
  ]

  /// From a frame to its message.
  private static let wire = FuzzTarget("wire") { bytes in
    let message = try MessageCodec.decode(bytes)
    let written = MessageCodec.encode(message)
    promise(try MessageCodec.encode(MessageCodec.decode(written)) == written, "a message is read as it is written")
  }
}

extension FuzzInput {
  /// The next frame as a receiver gets it: one of the input's own, or `honest` with some bytes replaced.
  mutating func received(_ honest: Message?) -> Result<Message, InputError> {
    let isOwn = byte() & 1 == 0
    let bytes = if !isOwn, let honest { spoil(MessageCodec.encode(honest)) } else { frame() }
    do {
      return .success(try MessageCodec.decode(bytes))
    } catch let error as InputError {
      return .failure(error)
    } catch { fatalError("\(error) is no InputError") }
  }
}
