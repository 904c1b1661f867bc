/// Every message of the farm, as values. `farm.proto` is their schema on the wire, `MessageCodec` the only bridge.
///
/// Control messages travel between the coordinator's ROUTER socket and each peer's DEALER; weight messages between the
/// learner's ROUTER and each worker's DEALER, so that a heartbeat never waits behind a gigabyte.

/// The version of the protocol. Peers of different versions part, and each says both versions.
public let protocolVersion: UInt32 = 2

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

/// The role of a process in the farm.
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
  /// The peer may not join or not stay; it says why, and the peer ends.
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
  /// Worker to learner: what does the newest version consist of, or the base model?
  case manifestRequest(WeightsPart)
  case manifest(WeightsManifest)
  /// Worker to learner: send `count` chunks from `first` on. Bounded by the worker, which is the flow control.
  case chunkRequest(ChunkRequest)
  case chunk(WeightsChunk)
}
