import Coordinator
import Settings
import Support

/// The plans of a campaign: everything about a farm and its bad day, drawn from a seed, so that a number is enough to
/// see a run again.
extension SimulatedFarm.Plan {
  /// The plan of a seed: one to four workers, synchronous or up to three versions stale, with or without dynamic
  /// sampling, prompts that kill, workers that send nonsense, each straggler policy, and every kind of fault.
  public static func drawn(seed: UInt64) -> SimulatedFarm.Plan {
    var random = RandomStream(seed: seed, purpose: .test, 5)
    var plan = SimulatedFarm.Plan()
    plan.workerCount = 1 + Int(random.integer(below: 4))
    plan.faults = .drawn(seed: seed, until: 6000, coordinatorCrashes: random.uniform() < 0.8)
    if random.uniform() < 0.4 { plan.settings.rollout.maxStaleness = 1 + Int(random.integer(below: 3)) }
    if random.uniform() < 0.4 {
      plan.settings.algorithm.dynamicSampling = true
      plan.workerTraits.zeroVarianceShare = 0.4
    }
    if random.uniform() < 0.3 {
      // Prompts come again, so that a quarantined one is met again.
      plan.dataset.period = 24
      plan.settings.farm.attemptsMax = 3
      plan.workerTraits.poison = [random.integer(below: 24), random.integer(below: 24)]
    } else {
      plan.workerTraits.incompleteShare = random.uniform() < 0.3 ? 0.1 : 0
    }
    plan.settings.farm.stragglers =
      [.wait, .hedge, .partial][Int(random.integer(below: 3))]
    plan.workerTraits.stragglerShare = random.uniform() < 0.5 ? 0.1 : 0
    plan.workerTraits.carelessShare = random.uniform() < 0.3 ? 0.2 : 0
    return plan
  }

  /// The same plan with something broken on purpose, and with what it takes to notice: each breach has a cause in every
  /// run.
  package static func drawn(seed: UInt64, breaking breach: Breach) -> SimulatedFarm.Plan {
    var plan = drawn(seed: seed)
    switch breach {
    case .state(let sabotage):
      plan.sabotage = sabotage
      if sabotage == .endsUnsaved { plan.learnerFailsToTheEnd() }
    case .double(let double): plan.broken = double
    }
    return plan
  }

  /// Nothing but the learner fails: it dies and its disk is full now and then, until the run is over.
  public mutating func learnerFailsToTheEnd() {
    faults = .none
    faults.until = 60_000
    (faults.learnerCrashes, faults.fullDisks) = (1, 1)
  }

  /// A mechanism that is broken on purpose, in the coordinator or around it.
  package enum Breach: CaseIterable, Hashable, Sendable, CustomStringConvertible {
    case state(Sabotage)
    case double(SimulatedFarm.BrokenDouble)

    package static var allCases: [Breach] {
      Sabotage.allCases.map { .state($0) } + SimulatedFarm.BrokenDouble.allCases.map { .double($0) }
    }

    package var description: String {
      switch self {
      case .state(let sabotage): sabotage.rawValue
      case .double(let double): double.rawValue
      }
    }
  }
}
