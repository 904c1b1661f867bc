import Foundation
import Prompts
import Support
import Testing
import Wire

/// Frames that Google's protobuf made from the same schema (Tests/Fixtures/wire/make_frames.py).
@Suite struct GoldenFrameTests {
  static let group = RolloutGroup(
    step: 17, prompt: 1 << 40 + 1, policyVersion: PolicyVersion(17), promptTokens: [1, 2, 49151],
    rollouts: [
      Rollout(
        tokens: [10, 20, 2], behaviourLogProbabilities: [-0.5, -1.25, -3], logTruncatedMasses: [0, -0.125, 0],
        entropies: [0.5, 2, 1], finish: .stop, reward: 1.1,
        scores: [NamedScore("accuracy", 1), NamedScore("format", 1), NamedScore("judge", failed: "timeout")],
        text: "4\0!"),
      Rollout(
        tokens: [7], behaviourLogProbabilities: [-9], logTruncatedMasses: [0], entropies: [0.25], finish: .length,
        reward: 0,
        scores: [NamedScore("accuracy", 0)], text: ""),
    ])

  static let messages: [String: Message] = [
    "hello": .hello(
      Hello(
        protocolVersion: 2, role: .worker, runID: "run-7", name: "wörker", incarnation: 1 << 63 + 5, host: "host",
        threads: 2, slots: 32, policyVersion: PolicyVersion(0))),
    "lease": .lease(
      Lease(
        id: LeaseID(300), attempt: 2, step: 17, prompt: 1 << 40 + 1,
        messages: [ChatMessage(role: "system", content: "be brief"), ChatMessage(role: "user", content: "2+2?")],
        reward: RewardSpecification(
          kind: "number", reference: "4", weights: ["accuracy": 1, "format": 0.125],
          options: ["partial_credit": "yes", "fuzzy": "no"]), policyVersion: PolicyVersion(17), groupSize: 8,
        sampling: SamplingSettings(temperature: 1, topK: 50, topP: 0.95, minP: 0.05, maxNewTokens: 48),
        stopStrings: ["</answer>", "\n\n"], seed: 99)),
    "groupResult": .groupResult(GroupResult(lease: LeaseID(300), group: group)),
    "trainBatch": .trainBatch(TrainBatch(step: 17, cursor: 136, groups: [group, group])),
    "manifest": .manifest(
      WeightsManifest(
        version: PolicyVersion(18), files: ["tokenizer.json": [0xFF, 0], "config.json": Array("{}".utf8)],
        tensors: [
          WeightsManifest.Tensor(name: "model.norm.weight", shape: [3], encoding: .float32),
          WeightsManifest.Tensor(name: "w", shape: [300, 2], encoding: .bfloat16),
        ], payloadByteCount: 1280, chunkByteCount: 1 << 20, payloadHash: 0x0123_4567_89AB_CDEF)),
    "chunk": .chunk(
      WeightsChunk(
        version: PolicyVersion(18), index: 3, encoding: .differenceZstd, base: PolicyVersion(17),
        bytes: Array(0..<200))),
    "statusReport": .statusReport(
      FarmStatus(
        runID: "run-7", phase: "rollout", step: 17, stepCount: 100, version: PolicyVersion(17), groupsDone: 3,
        groupsWanted: 8, secondsElapsed: 12.5, metrics: ["loss": -0.25],
        peers: [
          FarmStatus.Peer(
            name: "w1", role: .worker, host: "h", state: "decoding", policyVersion: nil, tokensPerSecond: 1500.5,
            groupsDone: 40, leases: 2, heartbeatAgeMilliseconds: 120)
        ], waits: ["coordinator waits for w1"])),
    "statusRequest": .statusRequest,
  ]

  static func frames() throws -> [String: [UInt8]] {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fixtures/wire/frames.json")
    let json = try JSON.parse([UInt8](Data(contentsOf: file)), place: "frames.json")
    return (json.object ?? [:]).mapValues { value in
      let digits = Array((value.string ?? "").utf8)
      return stride(from: 0, to: digits.count, by: 2).map {
        UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)!
      }
    }
  }

  @Test("another implementation's frames decode to the same values", arguments: messages.keys.sorted())
  func decode(name: String) throws {
    #expect(try MessageCodec.decode(#require(try Self.frames()[name])) == Self.messages[name])
  }

  @Test("our frames are another implementation's, byte for byte", arguments: messages.keys.sorted())
  func encode(name: String) throws {
    #expect(try MessageCodec.encode(#require(Self.messages[name])) == Self.frames()[name])
  }
}
