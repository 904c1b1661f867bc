import Core

/// Every message of the farm, as values. `farm.proto` is their schema on the wire, `MessageCodec` the only bridge.
///
/// Control messages travel between the coordinator's ROUTER socket and each peer's DEALER; weight messages between the
/// learner's ROUTER and each worker's DEALER, so that a heartbeat never waits behind a gigabyte.

/// The version of the protocol; a peer with another one is refused.
public let protocolVersion: UInt32 = 1

/// Number of optimizer updates behind a set of weights. Only grows.
public struct PolicyVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var value: UInt64
  public init(_ value: UInt64) { self.value = value }
  public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
  public var description: String { "v\(value)" }
}

/// Identifies a lease for the whole life of a run, over all attempts.
public struct LeaseID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var value: UInt64
  public init(_ value: UInt64) { self.value = value }
  public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
  public var description: String { "lease \(value)" }
}

/// What a process does in the farm.
public enum Role: UInt32, Sendable, CaseIterable {
  case coordinator = 1
  case worker = 2
  case learner = 3
  case observer = 4
}

public enum Message: Equatable, Sendable {
  // MARK: Control, peer to coordinator
  /// Worker, learner or observer to coordinator; first message, repeated until welcomed. Idempotent.
  case hello(Hello)
  /// Worker or learner to coordinator, every heartbeat interval. Idempotent.
  case heartbeat(Heartbeat)
  /// Worker to coordinator: a finished group. Repeated until acknowledged; the first valid one of a lease counts.
  case groupResult(GroupResult)
  /// Worker to coordinator: the lease cannot be done here (drain, prompt too long). Idempotent.
  case leaseReturned(LeaseReturned)
  /// Learner to coordinator: the step is done and a new version published. Repeated until the next batch. Idempotent.
  case stepCompleted(StepCompleted)
  /// Any peer to coordinator, or coordinator to peer: leaving on purpose.
  case goodbye(Goodbye)
  /// Observer to coordinator.
  case statusRequest

  // MARK: Control, coordinator to peer
  case welcome(Welcome)
  /// The coordinator will not have this peer; it says why, and the peer ends.
  case refused(Refused)
  /// A policy version is published. To every worker at every step, and first of all to one that joins. Idempotent.
  case policyAnnounced(PolicyAnnounced)
  /// A unit of work for a worker.
  case lease(Lease)
  /// The coordinator has the group (or no longer wants it); the worker forgets it.
  case resultAcknowledged(LeaseID)
  /// To the learner: the complete groups of a step. Repeated until `stepCompleted`; idempotent by step.
  case trainBatch(TrainBatch)
  /// To the learner: held-out accuracy of a version, for keeping the best checkpoint.
  case evaluated(Evaluated)
  case statusReport(FarmStatus)

  // MARK: Weights, worker to learner and back
  /// Worker to learner: what does the newest version consist of?
  case manifestRequest
  case manifest(WeightsManifest)
  /// Worker to learner: send `count` chunks from `first` on. Bounded by the worker, which is the flow control.
  case chunkRequest(ChunkRequest)
  case chunk(WeightsChunk)
}

public struct Hello: Equatable, Sendable {
  public var protocolVersion: UInt32
  public var role: Role
  /// The run that the peer belongs to; empty accepts any.
  public var runID: String
  /// Shown to people; unique among live peers (the coordinator adds a suffix if it is not).
  public var name: String
  /// Random per process: tells a restarted process from the one before.
  public var incarnation: UInt64
  public var host: String
  public var processID: UInt32
  /// Kernel threads.
  public var threads: UInt32
  /// Worker: samples that it decodes at once.
  public var slots: UInt32
  /// Learner: the version that it holds; worker: likewise, nil before the first.
  public var policyVersion: PolicyVersion?
  /// Learner: where workers fetch weights.
  public var weightsEndpoint: String
  /// Learner: the next step to train and the data cursor there, from its checkpoint.
  public var nextStep: UInt32
  public var cursor: UInt64

  public init(
    protocolVersion: UInt32 = Wire.protocolVersion, role: Role, runID: String = "", name: String, incarnation: UInt64,
    host: String, processID: UInt32, threads: UInt32 = 0, slots: UInt32 = 0, policyVersion: PolicyVersion? = nil,
    weightsEndpoint: String = "", nextStep: UInt32 = 0, cursor: UInt64 = 0
  ) {
    self.protocolVersion = protocolVersion
    self.role = role
    self.runID = runID
    self.name = name
    self.incarnation = incarnation
    self.host = host
    self.processID = processID
    self.threads = threads
    self.slots = slots
    self.policyVersion = policyVersion
    self.weightsEndpoint = weightsEndpoint
    self.nextStep = nextStep
    self.cursor = cursor
  }
}

public struct Welcome: Equatable, Sendable {
  public var runID: String
  public var name: String
  public var heartbeatMilliseconds: UInt32
  /// The coordinator's own incarnation: a peer that sees a new one says hello again and offers its unacknowledged results.
  public var incarnation: UInt64

  public init(runID: String, name: String, heartbeatMilliseconds: UInt32, incarnation: UInt64) {
    self.runID = runID
    self.name = name
    self.heartbeatMilliseconds = heartbeatMilliseconds
    self.incarnation = incarnation
  }
}

public struct Refused: Equatable, Sendable {
  public var reason: String
  public init(reason: String) { self.reason = reason }
}

public struct Heartbeat: Equatable, Sendable {
  public var incarnation: UInt64
  /// What the peer is doing, for people: "decoding", "fetching weights", "backward 3/8".
  public var activity: String
  public var policyVersion: PolicyVersion?
  /// Worker: groups that it would take now.
  public var credit: UInt32
  /// Worker: samples being decoded.
  public var activeSamples: UInt32
  /// Worker: tokens sampled since start, and the rate over the last heartbeats, tokens/s.
  public var tokensTotal: UInt64
  public var tokensPerSecond: Float
  public var groupsDone: UInt64

  public init(
    incarnation: UInt64, activity: String, policyVersion: PolicyVersion?, credit: UInt32 = 0, activeSamples: UInt32 = 0,
    tokensTotal: UInt64 = 0, tokensPerSecond: Float = 0, groupsDone: UInt64 = 0
  ) {
    self.incarnation = incarnation
    self.activity = activity
    self.policyVersion = policyVersion
    self.credit = credit
    self.activeSamples = activeSamples
    self.tokensTotal = tokensTotal
    self.tokensPerSecond = tokensPerSecond
    self.groupsDone = groupsDone
  }
}

/// What a lease is for: a group to train on, or a held-out prompt.
public enum LeasePurpose: UInt32, Sendable {
  case train = 1
  case evaluate = 2
}

public struct Lease: Equatable, Sendable {
  public var id: LeaseID
  /// 1, 2, ...: how often this work has been given out.
  public var attempt: UInt32
  public var purpose: LeasePurpose
  public var step: UInt32
  /// Identifies the prompt within its split; part of the random key.
  public var prompt: UInt64
  public var messages: [ChatMessage]
  public var reward: RewardSpecification
  /// The worker must hold exactly this version when `exactVersion`, else at least this one.
  public var policyVersion: PolicyVersion
  public var groupSize: UInt32
  public var sampling: SamplingSettings
  public var stopStrings: [String]
  public var seed: UInt64
  /// After so long without a result the lease is given to another worker.
  public var deadlineMilliseconds: UInt32

  public init(
    id: LeaseID, attempt: UInt32, purpose: LeasePurpose, step: UInt32, prompt: UInt64, messages: [ChatMessage],
    reward: RewardSpecification, policyVersion: PolicyVersion, groupSize: UInt32, sampling: SamplingSettings,
    stopStrings: [String], seed: UInt64, deadlineMilliseconds: UInt32
  ) {
    self.id = id
    self.attempt = attempt
    self.purpose = purpose
    self.step = step
    self.prompt = prompt
    self.messages = messages
    self.reward = reward
    self.policyVersion = policyVersion
    self.groupSize = groupSize
    self.sampling = sampling
    self.stopStrings = stopStrings
    self.seed = seed
    self.deadlineMilliseconds = deadlineMilliseconds
  }
}

/// One scored sample of a group.
public struct Rollout: Equatable, Sendable {
  public var tokens: [Int32]
  /// Under the full softmax at the sampling temperature, nats. `[T]`
  public var behaviourLogProbabilities: [Float]
  /// log of the mass kept by top-k, top-p, min-p. `[T]`
  public var logKeptMasses: [Float]
  /// nats `[T]`
  public var entropies: [Float]
  public var finish: FinishReason
  public var reward: Float
  /// Accuracy part of the reward, 0...1, unweighted.
  public var accuracy: Float
  /// Format part of the reward, 0 or 1, unweighted.
  public var format: Float
  public var text: String

  public init(
    tokens: [Int32], behaviourLogProbabilities: [Float], logKeptMasses: [Float], entropies: [Float],
    finish: FinishReason, reward: Float, accuracy: Float, format: Float, text: String
  ) {
    self.tokens = tokens
    self.behaviourLogProbabilities = behaviourLogProbabilities
    self.logKeptMasses = logKeptMasses
    self.entropies = entropies
    self.finish = finish
    self.reward = reward
    self.accuracy = accuracy
    self.format = format
    self.text = text
  }
}

/// A complete group: one prompt, G samples, all drawn from one policy version.
public struct RolloutGroup: Equatable, Sendable {
  public var step: UInt32
  public var prompt: UInt64
  public var policyVersion: PolicyVersion
  public var promptTokens: [Int32]
  public var rollouts: [Rollout]

  public init(
    step: UInt32, prompt: UInt64, policyVersion: PolicyVersion, promptTokens: [Int32], rollouts: [Rollout]
  ) {
    self.step = step
    self.prompt = prompt
    self.policyVersion = policyVersion
    self.promptTokens = promptTokens
    self.rollouts = rollouts
  }
}

public struct GroupResult: Equatable, Sendable {
  public var lease: LeaseID
  public var attempt: UInt32
  public var group: RolloutGroup
  /// Wall time from receiving the lease to finishing the group.
  public var milliseconds: UInt32

  public init(lease: LeaseID, attempt: UInt32, group: RolloutGroup, milliseconds: UInt32) {
    self.lease = lease
    self.attempt = attempt
    self.group = group
    self.milliseconds = milliseconds
  }
}

public struct LeaseReturned: Equatable, Sendable {
  public enum Cause: UInt32, Sendable {
    /// The worker is leaving; the work itself is fine.
    case draining = 1
    /// This work cannot be done anywhere (for example a prompt longer than the model's positions): it counts as an attempt.
    case impossible = 2
    /// The worker does not hold the lease's policy version; the work itself is fine, and so is the worker.
    case versionNotHeld = 3
  }
  public var lease: LeaseID
  public var attempt: UInt32
  public var cause: Cause
  public var reason: String

  public init(lease: LeaseID, attempt: UInt32, cause: Cause, reason: String) {
    self.lease = lease
    self.attempt = attempt
    self.cause = cause
    self.reason = reason
  }
}

public struct PolicyAnnounced: Equatable, Sendable {
  public var version: PolicyVersion
  /// Where to fetch it.
  public var weightsEndpoint: String
  public init(version: PolicyVersion, weightsEndpoint: String) {
    self.version = version
    self.weightsEndpoint = weightsEndpoint
  }
}

public struct TrainBatch: Equatable, Sendable {
  public var step: UInt32
  /// The data cursor after this step's draws; the learner's checkpoint keeps it.
  public var cursor: UInt64
  /// Sorted by prompt.
  public var groups: [RolloutGroup]
  public init(step: UInt32, cursor: UInt64, groups: [RolloutGroup]) {
    self.step = step
    self.cursor = cursor
    self.groups = groups
  }
}

public struct StepCompleted: Equatable, Sendable {
  public var step: UInt32
  /// The version after the update.
  public var version: PolicyVersion
  /// Named measurements of the step ("loss", "tau", "entropy", ...); docs/METRICS.md lists them.
  public var metrics: [String: Double]
  public init(step: UInt32, version: PolicyVersion, metrics: [String: Double]) {
    self.step = step
    self.version = version
    self.metrics = metrics
  }
}

public struct Evaluated: Equatable, Sendable {
  public var version: PolicyVersion
  public var step: UInt32
  public var accuracy: Float
  public init(version: PolicyVersion, step: UInt32, accuracy: Float) {
    self.version = version
    self.step = step
    self.accuracy = accuracy
  }
}

public struct Goodbye: Equatable, Sendable {
  public var reason: String
  public init(reason: String) { self.reason = reason }
}

/// What `fovea status` and the live view show.
public struct FarmStatus: Equatable, Sendable {
  public struct Peer: Equatable, Sendable {
    public var name: String
    public var role: Role
    public var host: String
    /// "joining", "idle", "decoding", "silent 2.1 s", ...
    public var state: String
    public var policyVersion: PolicyVersion?
    public var tokensPerSecond: Float
    public var groupsDone: UInt64
    public var leases: UInt32
    public var heartbeatAgeMilliseconds: UInt32

    public init(
      name: String, role: Role, host: String, state: String, policyVersion: PolicyVersion?, tokensPerSecond: Float,
      groupsDone: UInt64, leases: UInt32, heartbeatAgeMilliseconds: UInt32
    ) {
      self.name = name
      self.role = role
      self.host = host
      self.state = state
      self.policyVersion = policyVersion
      self.tokensPerSecond = tokensPerSecond
      self.groupsDone = groupsDone
      self.leases = leases
      self.heartbeatAgeMilliseconds = heartbeatAgeMilliseconds
    }
  }

  public var runID: String
  /// "waiting for a learner", "rollout", "training", "evaluating", "finished".
  public var phase: String
  public var step: UInt32
  public var stepCount: UInt32
  public var version: PolicyVersion?
  /// Groups of the open step: done and wanted.
  public var groupsDone: UInt32
  public var groupsWanted: UInt32
  public var secondsElapsed: Double
  /// Newest value of each metric.
  public var metrics: [String: Double]
  public var peers: [Peer]
  /// Who waits for whom, for what, since when; one line each.
  public var waits: [String]

  public init(
    runID: String, phase: String, step: UInt32, stepCount: UInt32, version: PolicyVersion?, groupsDone: UInt32,
    groupsWanted: UInt32, secondsElapsed: Double, metrics: [String: Double], peers: [Peer], waits: [String]
  ) {
    self.runID = runID
    self.phase = phase
    self.step = step
    self.stepCount = stepCount
    self.version = version
    self.groupsDone = groupsDone
    self.groupsWanted = groupsWanted
    self.secondsElapsed = secondsElapsed
    self.metrics = metrics
    self.peers = peers
    self.waits = waits
  }
}

/// What a policy version consists of. The worker needs nothing else: no model folder on its machine.
public struct WeightsManifest: Equatable, Sendable {
  public enum Encoding: UInt32, Sendable {
    case float32 = 1
    case bfloat16 = 2
  }
  public struct Tensor: Equatable, Sendable {
    public var name: String
    public var shape: [UInt32]
    public var encoding: Encoding
    public init(name: String, shape: [UInt32], encoding: Encoding) {
      self.name = name
      self.shape = shape
      self.encoding = encoding
    }
  }

  public var version: PolicyVersion
  /// Text files of the model folder: config.json, tokenizer.json, tokenizer_config.json, generation_config.json.
  public var files: [String: [UInt8]]
  /// In the canonical order; their bytes follow each other in the payload.
  public var tensors: [Tensor]
  public var payloadByteCount: UInt64
  public var chunkByteCount: UInt32
  /// XXH3-64 of the whole payload.
  public var payloadHash: UInt64

  public init(
    version: PolicyVersion, files: [String: [UInt8]], tensors: [Tensor], payloadByteCount: UInt64,
    chunkByteCount: UInt32, payloadHash: UInt64
  ) {
    self.version = version
    self.files = files
    self.tensors = tensors
    self.payloadByteCount = payloadByteCount
    self.chunkByteCount = chunkByteCount
    self.payloadHash = payloadHash
  }
}

public struct ChunkRequest: Equatable, Sendable {
  public var version: PolicyVersion
  public var first: UInt32
  public var count: UInt32
  /// The version whose payload the worker holds and would take a difference against.
  public var base: PolicyVersion?
  public init(version: PolicyVersion, first: UInt32, count: UInt32, base: PolicyVersion?) {
    self.version = version
    self.first = first
    self.count = count
    self.base = base
  }
}

public struct WeightsChunk: Equatable, Sendable {
  public enum Encoding: UInt32, Sendable {
    /// The bytes themselves.
    case plain = 1
    /// zstd of the bytes XOR the base version's bytes.
    case differenceZstd = 2
    /// The version is gone; ask for the manifest again.
    case gone = 3
  }
  public var version: PolicyVersion
  public var index: UInt32
  public var encoding: Encoding
  public var base: PolicyVersion?
  public var bytes: [UInt8]
  public init(version: PolicyVersion, index: UInt32, encoding: Encoding, base: PolicyVersion?, bytes: [UInt8]) {
    self.version = version
    self.index = index
    self.encoding = encoding
    self.base = base
    self.bytes = bytes
  }
}
