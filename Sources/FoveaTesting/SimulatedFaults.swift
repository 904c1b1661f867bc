import Support

/// The faults of a simulation: their rates, and until when they occur.
public struct SimulatedFaults: Equatable, Sendable {
  /// After this nothing goes wrong any more, and the run has to come to its end.
  public var until: Milliseconds = 0
  /// Events a simulated second, over all nodes of the kind.
  public var workerCrashes: Float = 0
  public var learnerCrashes: Float = 0
  public var coordinatorCrashes: Float = 0
  /// A process is stopped for a while and then continued (SIGSTOP, SIGCONT).
  public var hangs: Float = 0
  /// A node is cut off from the network for a while.
  public var cuts: Float = 0
  /// All workers are cut off from the rest for a while.
  public var partitions: Float = 0
  /// A node connects again and has another address.
  public var reconnects: Float = 0
  public var network = NetworkFaults()
  /// Share of the journal's transactions at which the coordinator dies: in half of them before the transaction is
  /// whole, else after it and among the effects that follow.
  public var tornCommits: Float = 0
  /// Share of the transactions that take as long as `span`.
  public var slowCommits: Float = 0
  /// A disk takes nothing more for a while: the coordinator's, or the learner's.
  public var fullDisks: Float = 0
  /// Share of the learner's starts that find the newest checkpoint damaged.
  public var damagedCheckpoints: Float = 0
  /// How long a node is down, stands still, or is cut off.
  public var span: ClosedRange<Milliseconds> = 50...900

  public init() {}

  /// A farm in which nothing goes wrong.
  public static let none = SimulatedFaults()

  /// A bad day, drawn from a seed: each kind of fault is there or not, and more or less frequent.
  public static func drawn(seed: UInt64, until: Milliseconds, coordinatorCrashes: Bool) -> SimulatedFaults {
    var random = RandomStream(seed: seed, purpose: .test, 4)
    func rate(_ most: Float, _ random: inout RandomStream) -> Float {
      random.uniform() < 0.6 ? most * random.uniform() : 0
    }
    var faults = SimulatedFaults()
    faults.until = until
    faults.workerCrashes = rate(1.5, &random)
    faults.learnerCrashes = rate(0.6, &random)
    faults.coordinatorCrashes = coordinatorCrashes ? rate(0.4, &random) : 0
    faults.hangs = rate(0.8, &random)
    faults.cuts = rate(0.8, &random)
    faults.reconnects = rate(0.8, &random)
    faults.network.loss = rate(0.2, &random)
    faults.network.duplication = rate(0.2, &random)
    faults.network.delay = 1...(random.uniform() < 0.5 ? 5 : 150)
    faults.partitions = rate(0.3, &random)
    faults.tornCommits = coordinatorCrashes ? rate(0.06, &random) : 0
    faults.slowCommits = rate(0.05, &random)
    faults.fullDisks = rate(0.3, &random)
    faults.damagedCheckpoints = rate(0.6, &random)
    return faults
  }
}
