import Wire

/// One change of what a coordinator that is started again needs to resume.
///
/// The state emits entries, it never reads them back: the entries of one event are one transaction, and it stands in
/// the journal before anything that depends on it leaves the process. So a peer has never heard of something that a
/// restarted coordinator does not know: a result is acknowledged only when it is kept, a batch goes out only when it
/// can be given out again, a version is announced only when it will be remembered.
///
/// Not journaled, because it comes back by itself: which peers are in the farm (they say hello again), which worker
/// holds which lease (a result of an open lease counts from any worker), prompts and images (drawn again from their
/// cursors).
public enum JournalEntry: Equatable, Sendable {
  /// The run's first learner stands behind `step` steps, with this version.
  case began(step: UInt32, version: PolicyVersion, cursor: UInt64)
  /// What groups depend on (`CoordinatorState.groupSettings`): groups that were sampled under other settings are not
  /// trained.
  case sampledUnder(settings: String)
  /// A step draws its prompts from `cursor` on; the next one from `cursorAfter`.
  case opened(step: UInt32, cursor: UInt64, cursorAfter: UInt64)
  /// A lease was made, for an open step or for an evaluation.
  case drew(LeaseID, LeasePurpose, step: UInt32, cursor: UInt64)
  case granted(LeaseID, attempt: UInt32)
  /// An attempt at the lease has failed; `failures` counts them.
  case failed(LeaseID, failures: Int)
  case finished(LeaseID, RolloutGroup)
  /// The lease has failed all its attempts, and its prompt is not drawn again.
  case quarantined(LeaseID, QuarantinedPrompt)
  /// The step's batch is made of these groups; the others are forgotten. `measured` is what the coordinator knows of
  /// it.
  case closed(step: UInt32, chosen: [LeaseID], measured: [String: Double])
  /// Open steps from `step` on are forgotten with their groups, and drawn again from `cursor` on.
  case discardedSteps(from: UInt32, cursor: UInt64)
  /// The open evaluation is forgotten.
  case discardedEvaluation
  /// `step` steps are trained, and `version` is the result.
  case completed(step: UInt32, version: PolicyVersion)
  /// An evaluation has ended; its leases are forgotten.
  case evaluated(Evaluated)
  case row(MetricsRow)
  /// The steps before this one are checkpointed: no learner needs their batches any more, which are forgotten.
  case checkpointed(step: UInt32)
  case counted(FarmCounters)
}

/// A prompt that failed all its attempts, and why. A run names it in its status and at its end.
public struct QuarantinedPrompt: Equatable, Sendable, CustomStringConvertible {
  public var purpose: LeasePurpose
  public var prompt: UInt64
  /// The step that it was drawn for; of a held-out prompt, the steps behind the version that was evaluated.
  public var step: UInt32
  /// Why the last attempt failed.
  public var cause: String

  public init(purpose: LeasePurpose, prompt: UInt64, step: UInt32, cause: String) {
    self.purpose = purpose
    self.prompt = prompt
    self.step = step
    self.cause = cause
  }

  /// "prompt 17", "held-out prompt 3"
  var name: String { "\(purpose == .train ? "prompt" : "held-out prompt") \(prompt)" }

  /// "step 5", "the evaluation after 4 steps"
  var occasion: String { purpose == .train ? "step \(step + 1)" : "the evaluation after \(step) steps" }

  public var description: String { "\(name), failed in \(occasion): \(cause)" }
}

/// What a journal holds for a coordinator that starts: everything but the groups of closed steps, which are read when a
/// learner asks for them (`CoordinatorEffect.recall`).
public struct JournalContents: Equatable, Sendable {
  public struct Step: Equatable, Sendable {
    public var cursor: UInt64
    public var cursorAfter: UInt64
    /// nil while the step is open.
    public var measured: [String: Double]?

    public init(cursor: UInt64, cursorAfter: UInt64, measured: [String: Double]? = nil) {
      self.cursor = cursor
      self.cursorAfter = cursorAfter
      self.measured = measured
    }
  }

  public struct LeaseRecord: Equatable, Sendable {
    public enum Outcome: Equatable, Sendable {
      case open
      case finished(RolloutGroup)
      case quarantined
    }

    public var id: LeaseID
    public var purpose: LeasePurpose
    public var step: UInt32
    public var cursor: UInt64
    public var attempt: UInt32 = 0
    public var failures = 0
    public var outcome = Outcome.open

    public init(id: LeaseID, purpose: LeasePurpose, step: UInt32, cursor: UInt64) {
      self.id = id
      self.purpose = purpose
      self.step = step
      self.cursor = cursor
    }
  }

  public var groupSettings: String?
  /// By the number of steps behind them, without a gap; empty before the first learner.
  public var versions: [UInt32: PolicyVersion] = [:]
  public var nextToOpen: UInt32 = 0
  public var cursor: UInt64 = 0
  /// Open steps, and closed ones whose groups are kept.
  public var steps: [UInt32: Step] = [:]
  /// The leases of the open steps and of the open evaluation, in order of their ids.
  public var leases: [LeaseRecord] = []
  /// In the order in which they failed.
  public var quarantined: [QuarantinedPrompt] = []
  public var evaluated: Evaluated?
  /// The rows that a file of metrics may lack, and the first evaluation's; in their order.
  public var rows: [MetricsRow] = []
  /// The steps before this one are checkpointed.
  public var checkpointedStep: UInt32 = 0
  public var counters = FarmCounters()

  public init() {}

  /// Steps trained; nil before the first learner.
  public var completed: UInt32? { versions.keys.max() }
}

/// A group of a closed step, as it is read back.
public struct RecalledGroup: Equatable, Sendable {
  public var cursor: UInt64
  /// The group, without its images.
  public var group: RolloutGroup

  public init(cursor: UInt64, group: RolloutGroup) {
    self.cursor = cursor
    self.group = group
  }
}
