import Wire

/// The events that the coordinator handles.
public enum CoordinatorEvent: Sendable {
  /// A well-formed message of a peer.
  case received(Message, from: PeerAddress)
  /// A frame that could not be decoded.
  case malformed(from: PeerAddress, reason: String)
  /// The groups of a closed step, as the journal keeps them: the answer to `recall`.
  case recalled(step: UInt32, [RecalledGroup])
  /// Time passes. Expected several times a second: silence and deadlines are noticed here.
  case tick
  /// SIGTERM: begin nothing new, let the open step end, have the learner make a checkpoint, finish.
  case drain
}

/// The effects of an event. The shell performs them in their order and answers none of them but `recall`.
public enum CoordinatorEffect: Equatable, Sendable {
  /// One transaction: the effects that follow are performed only when all of it is on the disk. The first of its
  /// event's.
  case journal([JournalEntry])
  /// Read the groups of a closed step and bring them with the event `recalled`.
  case recall(step: UInt32)
  case send(Message, to: PeerAddress)
  case record(MetricsRow)
  case log(String)
  /// The run has ended; no other effect follows.
  case finish(CoordinatorOutcome)
}

/// How a run ends.
public enum CoordinatorOutcome: Equatable, Sendable {
  /// All steps are trained and the last version is evaluated.
  case completed
  /// Asked to stop; the run can be resumed from its checkpoint.
  case drained
  /// It cannot go on; the reason names what to fix.
  case failed(String)
}

/// What the farm is doing, for people.
public enum FarmPhase: String, Sendable {
  case waitingForLearner = "waiting for a learner"
  case evaluating
  case rollout
  case training
  /// Everything is done, or `drain` was asked: the learner makes its last checkpoint.
  case closing
  case finished
}
