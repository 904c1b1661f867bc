import FoveaTesting
import Prompts
import RolloutWorker
import Support
import Wire

/// A worker whose coordinator says anything, and whose engine does what it is asked.
struct WorkerUnderFuzz {
  /// A larger group is given back as impossible, so that no input takes long.
  private static let groupSizeMax: UInt32 = 16

  private var state = RolloutState(
    as: FarmMember(
      Hello(
        role: .worker, runID: "run", name: "w1", incarnation: 100, host: "host", threads: 1, slots: 8),
      timeout: 20_000))
  private var now: Milliseconds = 0
  private var announced = PolicyVersion(0)
  /// Whether the worker waits for a manifest.
  private var isFetching = false
  private var loading: FetchedWeights?
  private var decoding: [Lease] = []

  static func run(_ input: FuzzInput) {
    var input = input
    var worker = WorkerUnderFuzz()
    worker.on(.started)
    input.events { worker.event(&$0) }
  }

  private mutating func event(_ input: inout FuzzInput) {
    switch input.byte() % 8 {
    case 0:
      now += Milliseconds(input.byte()) * 8
      on(.tick(tokensSampled: UInt64(now)))
    case 1:
      guard isFetching else { return }
      isFetching = false
      on(.receivedFromLearner(.manifest(SimulatedPolicy.weights(of: announced))))
    case 2:
      guard let weights = loading else { return }
      loading = nil
      on(.loaded(weights.payload()))
    case 3:
      guard let lease = decoding.popLast() else { return }
      for _ in 0..<lease.groupSize { on(.sampleFinished(lease.id)) }
      on(.groupDecoded(lease.id))
      on(.groupFinished(lease.id, SimulatedPolicy.group(for: lease)))
    case 4: if input.byte() == 255 { on(.drainRequested) }
    default:
      // A malformed frame never reaches a worker's state.
      if case .success(let message) = input.received(honest(&input)) {
        if case .policyAnnounced(let policy) = message { announced = max(announced, policy.version) }
        on(.received(message))
      }
    }
  }

  private func honest(_ input: inout FuzzInput) -> Message {
    let (kind, number) = (input.byte(), UInt64(input.byte() % 4))
    switch kind % 6 {
    case 0: return .welcome(Welcome(runID: "run", name: "w1", heartbeatMilliseconds: 100, incarnation: 7 + number / 2))
    case 1: return .policyAnnounced(PolicyAnnounced(version: PolicyVersion(number), weightsEndpoint: "tcp://weights:1"))
    case 2, 3:
      return .lease(
        Lease(
          id: LeaseID(number), attempt: 1, step: 0, prompt: number,
          messages: [ChatMessage(role: "user", content: "2+2?")],
          reward: RewardSpecification(kind: "number", reference: "4"), policyVersion: PolicyVersion(number / 2),
          groupSize: 2,
          sampling: SamplingSettings(temperature: 1, topK: 0, topP: 1, minP: 0, maxNewTokens: 8), stopStrings: ["\n"],
          seed: 1, partialGroupMin: UInt32(kind / 6 % 3)))
    case 4: return .resultAcknowledged(LeaseID(number))
    default: return .goodbye(Goodbye(reason: "the run is over"))
    }
  }

  private mutating func on(_ event: RolloutState.Event) {
    for effect in state.on(event, now: now) {
      switch effect {
      case .send(let message):
        let frame = MessageCodec.encode(message)
        promise(try MessageCodec.encode(MessageCodec.decode(frame)) == frame, "a coordinator can read \(message)")
      case .connectToLearner: break
      case .sendToLearner: isFetching = true
      case .load(let weights): loading = weights
      case .generate(let lease):
        if lease.groupSize > Self.groupSizeMax {
          on(.leaseImpossible(lease.id, reason: "too large"))
        } else {
          decoding.append(lease)
        }
      case .cancel(let id): decoding.removeAll { $0.id == id }
      case .finishPartially, .log, .end: break
      }
    }
  }
}
