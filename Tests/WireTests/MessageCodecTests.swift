import Prompts
import Support
import Tensor
import Testing
import Wire

@Suite struct MessageCodecTests {
  @Test("every message comes back as it went", arguments: 0..<50)
  func roundTrip(seed: Int) throws {
    var random = RandomMessages(seed: UInt64(seed))
    for message in random.all() {
      #expect(try MessageCodec.decode(MessageCodec.encode(message)) == message)
    }
  }

  @Test("a text keeps its NUL characters and its emoji") func nulInText() throws {
    let message = Message.goodbye(Goodbye(reason: "a\0b🙂\0"))
    #expect(try MessageCodec.decode(MessageCodec.encode(message)) == message)
  }

  @Test("a metric that is not a number arrives") func notANumber() throws {
    let message = Message.stepCompleted(StepCompleted(step: 1, version: PolicyVersion(2), metrics: ["loss": .nan]))
    guard case .stepCompleted(let back) = try MessageCodec.decode(MessageCodec.encode(message)) else {
      Issue.record("another message came back")
      return
    }
    #expect(back.metrics["loss"]?.isNaN == true)
  }

  @Test("a frame cut short at any byte is refused or is another valid message", arguments: 0..<8)
  func truncation(seed: Int) {
    var random = RandomMessages(seed: UInt64(100 + seed))
    for message in random.all() {
      let frame = MessageCodec.encode(message)
      for length in 0..<frame.count {
        if let other = try? MessageCodec.decode(Array(frame[..<length])) { #expect(isValid(other)) }
      }
    }
  }

  @Test("a frame with a wrong byte is refused or is another valid message", arguments: 0..<8)
  func corruption(seed: Int) {
    var random = RandomMessages(seed: UInt64(200 + seed))
    for message in random.all() {
      var frame = MessageCodec.encode(message)
      for index in frame.indices {
        let before = frame[index]
        for flip in [1 << random.random.integer(below: 8), 1 + random.random.integer(below: 255)] {
          frame[index] = before ^ UInt8(flip)
          if let other = try? MessageCodec.decode(frame) { #expect(isValid(other)) }
        }
        frame[index] = before
      }
    }
  }

  @Test("bytes that are no frame are refused") func noise() {
    var random = RandomStream(seed: 1, purpose: .test)
    for _ in 0..<10_000 {
      let noise = (0..<random.integer(below: 64)).map { _ in UInt8(random.integer(below: 256)) }
      if let message = try? MessageCodec.decode(noise) { #expect(isValid(message)) }
    }
  }

  /// What decodes also encodes, to something that decodes.
  private func isValid(_ message: Message) -> Bool { (try? MessageCodec.decode(MessageCodec.encode(message))) != nil }

  @Test("a way of drawing samples that is not known is refused by name") func unknownRolloutPrecision() throws {
    let manifest = WeightsManifest(
      version: PolicyVersion(1), files: [:], tensors: [], payloadByteCount: 0, chunkByteCount: 1 << 20, payloadHash: 0,
      rolloutPrecision: .int8)
    var frame = MessageCodec.encode(.manifest(manifest))
    #expect(frame.suffix(2) == [0x38, 1])
    frame[frame.count - 1] = 2
    let error = #expect(throws: InputError.self) { try MessageCodec.decode(frame) }
    #expect("\(error!)".contains("manifest.rollout_precision"))
  }

  @Test("a frame of millions of empty submessages is refused before they fill the memory") func amplification() {
    let count = 16 << 20
    // Field 21 (train_batch), length as a varint, then field 3 (groups), length 0, again and again.
    var frame: [UInt8] = [0xAA, 0x01]
    var length = 2 * count
    while length >= 0x80 {
      frame.append(UInt8(length & 0x7F) | 0x80)
      length >>= 7
    }
    frame.append(UInt8(length))
    for _ in 0..<count { frame += [0x1A, 0x00] }
    let error = #expect(throws: InputError.self) { try MessageCodec.decode(frame) }
    #expect(error?.place == "frame")
  }

  static let lease: Lease = {
    var random = RandomMessages(seed: 7)
    return random.lease()
  }()
  static let group: RolloutGroup = {
    var random = RandomMessages(seed: 8)
    return random.group()
  }()
  static let manifest = WeightsManifest(
    version: PolicyVersion(1), files: [:],
    tensors: [WeightsManifest.Tensor(name: "a", shape: [4, 8], encoding: .bfloat16)], payloadByteCount: 64,
    chunkByteCount: 1024, payloadHash: 0)

  static func lease(_ change: (inout Lease) -> Void) -> Message {
    var lease = lease
    change(&lease)
    return .lease(lease)
  }
  static func rollout(_ change: (inout Rollout) -> Void) -> Message {
    var group = group
    change(&group.rollouts[0])
    return .trainBatch(TrainBatch(step: 1, cursor: 2, groups: [group]))
  }
  static func manifest(_ change: (inout WeightsManifest) -> Void) -> Message {
    var manifest = manifest
    change(&manifest)
    return .manifest(manifest)
  }

  @Test(
    "a field out of bounds is named",
    arguments: [
      ("rollout.tokens", rollout { $0.tokens[0] = -1 }),
      ("rollout.tokens", rollout { $0.tokens = [] }),
      ("rollout.behaviour_log_probabilities", rollout { $0.behaviourLogProbabilities.append(0) }),
      ("rollout.behaviour_log_probabilities", rollout { $0.behaviourLogProbabilities[0] = -.infinity }),
      ("rollout.log_truncated_masses", rollout { $0.logTruncatedMasses.removeLast() }),
      ("rollout.entropies", rollout { $0.entropies = [] }),
      ("rollout.entropies", rollout { $0.entropies[0] = .nan }),
      ("rollout.reward", rollout { $0.reward = .nan }),
      ("rollout.scores", rollout { $0.scores = [NamedScore("b", 0), NamedScore("a", 0)] }),
      ("rollout.scores", rollout { $0.scores = [NamedScore("a", 0), NamedScore("a", 1)] }),
      ("rollout.scores", rollout { $0.scores = (1000..<1257).map { NamedScore("\($0)", 0) } }),
      ("rollout.scores.name", rollout { $0.scores = [NamedScore(String(repeating: "x", count: 5000), 0)] }),
      (
        "rollout.scores.cause",
        rollout { $0.scores = [NamedScore("a", failed: String(repeating: "x", count: 1 << 17))] }
      ),
      ("lease.group_size", lease { $0.groupSize = 0 }),
      ("lease.group_size", lease { $0.groupSize = 5000 }),
      ("lease.messages", lease { $0.messages = [] }),
      ("lease.images", lease { $0.images = Array(repeating: PromptImage(bytes: [1]), count: 7) }),
      ("lease.sampling.temperature", lease { $0.sampling.temperature = -1 }),
      ("lease.sampling.top_p", lease { $0.sampling.topP = .nan }),
      ("lease.sampling.max_new_tokens", lease { $0.sampling.maxNewTokens = 0 }),
      ("lease.policy_version", lease { $0.policyVersion = PolicyVersion(.max) }),
      ("lease.step", lease { $0.step = .max }),
      ("lease.reward.kind", lease { $0.reward.kind = String(repeating: "x", count: 5000) }),
      ("lease.reward.weights.value", lease { $0.reward.weights["accuracy"] = .nan }),
      ("lease.stop_strings", lease { $0.stopStrings = Array(repeating: "x", count: 1000) }),
      ("manifest.payload_byte_count", manifest { $0.payloadByteCount = 65 }),
      ("manifest.payload_byte_count", manifest { $0.tensors[0].shape = [.max, .max, .max] }),
      ("manifest.tensors.shape", manifest { $0.tensors[0].shape = Array(repeating: 1, count: 9) }),
      ("manifest.chunk_byte_count", manifest { $0.chunkByteCount = 0 }),
      ("manifest.payload_byte_count", manifest { $0.payloadByteCount = .max }),
      (
        "welcome.heartbeat_milliseconds",
        .welcome(Welcome(runID: "", name: "", heartbeatMilliseconds: 0, incarnation: 1))
      ),
      ("chunk_request.count", .chunkRequest(ChunkRequest(version: PolicyVersion(0), first: 0, count: 0, base: nil))),
      ("evaluated.accuracy", .evaluated(Evaluated(version: PolicyVersion(0), step: 0, accuracy: .nan))),
      ("goodbye.reason", .goodbye(Goodbye(reason: String(repeating: "x", count: 100_000)))),
    ])
  func bounds(field: String, message: Message) {
    let error = #expect(throws: InputError.self) { try MessageCodec.decode(MessageCodec.encode(message)) }
    #expect(error?.place == field)
  }

  @Test("a score that is not a number is refused by name")
  func scoreNotANumber() throws {
    var frame = MessageCodec.encode(Self.rollout { $0.scores = [NamedScore("a", 12345.678)] })
    let bytes = withUnsafeBytes(of: Float(12345.678).bitPattern.littleEndian) { [UInt8]($0) }
    let start = try #require(frame.indices.first { frame[$0...].starts(with: bytes) })
    frame.replaceSubrange(
      start..<start + 4, with: withUnsafeBytes(of: Float.nan.bitPattern.littleEndian) { [UInt8]($0) })
    let error = #expect(throws: InputError.self) { try MessageCodec.decode(frame) }
    #expect(error?.place == "rollout.scores.value")
  }

  @Test(
    "frames that no encoder of ours makes are refused by name",
    arguments: [
      ([], "envelope"),  // no body
      ([0xFA, 0x3F, 0x00], "envelope"),  // a message of the future
      ([0x0A, 0x02, 0x10, 0x00], "hello.role"),  // role absent
      ([0x0A, 0x02, 0x10, 0x09], "hello.role"),  // role 9
      ([0x32, 0x03, 0x0A, 0x01, 0xFF], "goodbye.reason"),  // text that is no UTF-8
      ([0x1A, 0x00], "group_result.group"),  // submessage missing
      ([0x0A, 0x7F], "frame"),  // length beyond the end
    ] as [([UInt8], String)])
  func foreign(frame: [UInt8], place: String) {
    let error = #expect(throws: InputError.self) { try MessageCodec.decode(frame) }
    #expect(error?.place == place)
  }
}
