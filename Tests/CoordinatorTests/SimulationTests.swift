import Coordinator
import Foundation
import FoveaTesting
import Settings
import Support
import Testing
import Wire

/// Whole runs on a bad network with processes that crash, hang and come back. A failure prints its seed, and the same
/// seed fails again. FOVEA_SIMULATION_FACTOR=10 runs ten times as many seeds; `make simulate` runs a campaign.
@Suite("Simulated farms")
struct SimulationTests {
  /// Runs a plan over seeds and records every violation with its seed.
  private func simulate(_ seeds: Range<UInt64>, _ plan: (UInt64) -> SimulatedFarm.Plan) -> [FarmVerdict] {
    let factor = ProcessInfo.processInfo.environment["FOVEA_SIMULATION_FACTOR"].flatMap { UInt64($0) } ?? 1
    let end = seeds.lowerBound + UInt64(seeds.count) * max(1, min(factor, 10_000))
    return (seeds.lowerBound..<end).map { seed in
      var farm = SimulatedFarm(seed: seed, plan: plan(seed))
      let verdict = farm.run()
      if !verdict.violations.isEmpty || verdict.outcome != .completed { Issue.record("\(verdict)") }
      return verdict
    }
  }

  private func plan(
    _ seed: UInt64, coordinatorCrashes: Bool = false, _ change: (inout SimulatedFarm.Plan) -> Void = { _ in }
  ) -> SimulatedFarm.Plan {
    var plan = SimulatedFarm.Plan()
    plan.workerCount = 1 + Int(seed % 4)
    plan.faults = .drawn(seed: seed, until: 6000, coordinatorCrashes: coordinatorCrashes)
    change(&plan)
    return plan
  }

  @Test("Synchronous: nothing is lost, nothing is trained twice, the run ends")
  func synchronous() {
    let verdicts = simulate(0..<150) { plan($0) }
    let total = verdicts.map(\.counters)
    // The faults have to have happened.
    #expect(total.contains { $0.workersLost > 0 })
    #expect(total.contains { $0.duplicates > 0 })
    #expect(total.contains { $0.expired > 0 })
    #expect(total.contains { $0.resent > 0 })
    #expect(total.contains { $0.late > 0 })
  }

  @Test("Overlapping steps, dynamic sampling")
  func asynchronous() {
    let verdicts = simulate(1_000_000..<1_000_100) { seed in
      plan(seed) {
        $0.settings.rollout.maxStaleness = 1 + Int(seed % 3)
        $0.settings.algorithm.dynamicSampling = true
        $0.workerTraits.zeroVarianceShare = 0.4
      }
    }
    #expect(verdicts.contains { $0.counters.replaced > 0 })
    #expect(verdicts.contains { $0.rows.contains { $0.values["staleness_max"] ?? 0 > 0 } })
  }

  @Test("The coordinator dies too, and its disk is slow, full, or cut off in the middle of a transaction")
  func coordinatorDies() {
    let verdicts = simulate(2_000_000..<2_000_075) { plan($0, coordinatorCrashes: true) }
    #expect(verdicts.contains { $0.coordinatorLives > 5 })
  }

  @Test("Everything at once, as `make simulate` draws it")
  func campaign() {
    let verdicts = simulate(0..<150) { .drawn(seed: $0) }
    let total = verdicts.map(\.counters)
    #expect(total.contains { $0.hedged > 0 })
    #expect(total.contains { $0.partialGroups > 0 })
    #expect(total.contains { $0.stale > 0 })
    #expect(total.contains { $0.malformed > 0 })
    #expect(total.contains { $0.quarantined > 0 })
  }

  @Test("Prompts that kill their workers are quarantined, and the run ends")
  func poison() {
    let verdicts = simulate(3_000_000..<3_000_050) { seed in
      plan(seed) {
        $0.settings.farm.attemptsMax = 3
        $0.workerTraits.poison = [seed % 7, 9 + seed % 11]
      }
    }
    #expect(verdicts.allSatisfy { verdict in verdict.batches.allSatisfy { $0.groups.count == 4 } })
    #expect(verdicts.contains { $0.counters.quarantined > 0 })
  }

  @Test("Hedging changes nothing that is trained, and takes less time than waiting")
  func hedging() {
    var spans: [RunSettings.StragglerPolicy: Milliseconds] = [:]
    var batches: [[TrainBatch]] = []
    for policy in [RunSettings.StragglerPolicy.wait, .hedge] {
      for seed in 0..<10 as Range<UInt64> {
        var plan = SimulatedFarm.Plan()
        plan.settings.farm.stragglers = policy
        plan.settings.farm.leaseTimeoutSeconds = 60
        plan.workerTraits.stragglerShare = 0.1
        var farm = SimulatedFarm(seed: seed, plan: plan)
        let verdict = farm.run()
        #expect(verdict.violations.isEmpty, "\(verdict)")
        #expect((verdict.counters.hedged > 0) == (policy == .hedge), "\(verdict)")
        spans[policy, default: 0] += verdict.duration
        batches.append(verdict.batches)
      }
    }
    #expect(batches.allSatisfy { $0 == batches[0] })
    #expect(spans[.hedge, default: 0] < spans[.wait, default: 0])
  }

  @Test(
    "Each mechanism that is broken on purpose is noticed within 200 seeds",
    arguments: SimulatedFarm.Plan.Breach.allCases)
  func mutation(breach: SimulatedFarm.Plan.Breach) {
    let found = (0..<200 as Range<UInt64>).first { seed in
      var farm = SimulatedFarm(seed: seed, plan: .drawn(seed: seed, breaking: breach))
      let verdict = farm.run()
      guard !verdict.violations.isEmpty || verdict.outcome != .completed else { return false }
      if isCampaign { print("\(breach): seed \(seed), \(verdict.violations.first ?? "unfinished")") }
      return true
    }
    #expect(found != nil, "\(breach) is not noticed")
  }

  @Test("A campaign of many seeds", .enabled(if: SimulationTests.environment["FOVEA_SIMULATION_SEEDS"] != nil))
  func many() {
    let (first, count) = (Self.number("FOVEA_SIMULATION_FIRST") ?? 0, Self.number("FOVEA_SIMULATION_SEEDS") ?? 0)
    var (failures, lives, events) = (0, 0, 0)
    for seed in first..<first + count {
      var farm = SimulatedFarm(seed: seed, plan: .drawn(seed: seed))
      let verdict = farm.run()
      lives += verdict.coordinatorLives
      events += verdict.eventCount
      if !verdict.violations.isEmpty || verdict.outcome != .completed {
        failures += 1
        Issue.record("make simulate SEED=\(seed): \(verdict)")
      }
      let done = seed - first + 1
      if done == count || done % 500 == 0 {
        print("\(done) of \(count) seeds: \(failures) failed; \(lives) lives of coordinators, \(events) events")
      }
    }
  }

  private var isCampaign: Bool { Self.environment["FOVEA_SIMULATION_MUTATIONS"] != nil }
  static let environment = ProcessInfo.processInfo.environment
  private static func number(_ name: String) -> UInt64? { environment[name].flatMap { UInt64($0) } }

  @Test("A run is not over before a checkpoint has its last step, though the learner and its disk fail to the end")
  func ending() {
    for seed in 0..<100 as Range<UInt64> {
      var plan = SimulatedFarm.Plan.drawn(seed: seed)
      plan.learnerFailsToTheEnd()
      var farm = SimulatedFarm(seed: seed, plan: plan)
      let verdict = farm.run()
      #expect(verdict.violations.isEmpty, "\(verdict)")
      #expect(verdict.outcome == .completed, "\(verdict)")
    }
  }

  @Test("What is trained does not depend on the number of workers, nor on who dies")
  func determinism() {
    var plain = SimulatedFarm.Plan()
    plain.settings.algorithm.dynamicSampling = true
    plain.workerTraits.zeroVarianceShare = 0.3
    var reference = SimulatedFarm(seed: 0, plan: plain)
    let expected = reference.run().batches
    #expect(expected.count == 8)
    for (offset, workers) in [1, 2, 4, 7].enumerated() {
      for seed in UInt64(offset * 10)..<UInt64(offset * 10 + 8) {
        var plan = plain
        plan.workerCount = workers
        plan.faults = .drawn(seed: seed, until: 5000, coordinatorCrashes: seed % 2 == 1)
        var farm = SimulatedFarm(seed: 4000 + seed, plan: plan)
        let verdict = farm.run()
        #expect(verdict.batches == expected, "\(workers) workers, \(verdict)")
      }
    }
  }

  @Test("Equal seeds give equal runs, event by event", arguments: [1, 2, 3] as [UInt64])
  func repeatable(seed: UInt64) {
    var first = SimulatedFarm(seed: seed, plan: plan(seed, coordinatorCrashes: true))
    var second = SimulatedFarm(seed: seed, plan: plan(seed, coordinatorCrashes: true))
    let (a, b) = (first.run(), second.run())
    #expect(a.eventCount == b.eventCount)
    #expect(a.duration == b.duration)
    #expect(a.batches == b.batches)
    #expect(a.rows == b.rows)
    #expect(a.counters == b.counters)
    #expect(a.eventCount > 200)
  }
}
