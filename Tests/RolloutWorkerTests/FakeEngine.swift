import Architecture
import Engine
import FoveaTesting
import Prompts
import RolloutWorker
import Wire

/// An engine whose samples finish in the order that the test gives.
final class FakeEngine: RolloutEngine {
  var abilities = RolloutEngineAbilities(isExact: true, hasImages: true, hasAdapters: true)
  var text: PolicyText? = .bytes
  var requests: [GenerationRequest] = []
  var cancelled: [UInt64] = []
  var loaded: [WeightsManifest] = []
  /// The samples that finish in each step to come.
  var queue: [[Completion]] = []
  var tokensSampled: UInt64 = 0
  /// Called at the start of each step.
  var willStep: () -> Void = {}

  func load(_ weights: FetchedWeights) throws -> any HeldWeights {
    loaded.append(weights.manifest)
    return weights.payload()
  }
  func submit(_ request: GenerationRequest) throws { requests.append(request) }
  func cancel(request: UInt64) { cancelled.append(request) }
  func step() -> [Completion] {
    willStep()
    return queue.isEmpty ? [] : queue.removeFirst()
  }
  var isIdle: Bool { queue.isEmpty }
}

extension PolicyText {
  /// A token is a byte; 0 ends a sample.
  static var bytes: PolicyText {
    PolicyText(
      encode: { messages, _ in EncodedPrompt(tokens: messages.flatMap { $0.content.utf8.map(Int32.init) }) },
      decode: { String(decoding: $0.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self) }, stopTokens: [0],
      maxPositions: 16)
  }
}

func fakeLease(_ id: UInt64, content: String = "1+1", groupSize: UInt32 = 2, images: [PromptImage] = []) -> Lease {
  Lease(
    id: LeaseID(id), attempt: 1, step: 3, prompt: 10,
    messages: [ChatMessage(role: "user", content: content)], images: images,
    reward: RewardSpecification(kind: "number", reference: "2", weights: ["same": 1.5, "length": 0]),
    policyVersion: PolicyVersion(1), groupSize: groupSize,
    sampling: SamplingSettings(temperature: 0.5, maxNewTokens: 4), stopStrings: ["!"], seed: 5)
}

func completion(_ id: UInt64, _ sample: Int, _ tokens: [Int32]) -> Completion {
  Completion(
    request: id, sample: sample, tokens: tokens, logProbabilities: tokens.map { -Float($0) },
    logTruncatedMasses: tokens.map { _ in 0 }, entropies: tokens.map { Float($0) }, finish: .stop)
}
