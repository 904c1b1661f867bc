import Coordinator
import FoveaTesting
import Prompts
import Settings
import Testing
import Wire

@Suite("Leases and results")
struct LeaseTests {
  @Test("A lease carries everything that the work depends on")
  func content() {
    var bench = Bench {
      $0.run.seed = 42
      $0.rollout.sampling.temperature = 0.7
    }
    let leases = bench.start()
    #expect(leases.map(\.prompt) == [0, 1, 2])
    for lease in leases {
      #expect(lease.purpose == .train)
      #expect(lease.step == 0)
      #expect(lease.attempt == 1)
      #expect(lease.seed == 42)
      #expect(lease.groupSize == 2)
      #expect(lease.sampling == bench.settings.rollout.sampling)
      #expect(lease.policyVersion == PolicyVersion(0))
      #expect(lease.messages == [ChatMessage(role: "user", content: "prompt \(lease.prompt)")])
    }
  }

  @Test("Work goes to workers with credit, evenly, and not beyond their free slots")
  func balance() {
    var bench = Bench { $0.rollout.promptsPerStep = 6 }
    bench.join(1, slots: 5)
    bench.join(2, slots: 5)
    bench.join(3, credit: 0)
    let leases = bench.joinLearner().leases
    #expect(bench.effects.leases(to: 1).map(\.prompt) == [0, 2])
    #expect(bench.effects.leases(to: 2).map(\.prompt) == [1, 3])
    bench.now += 10
    #expect(bench.beat(1, holding: 0, active: 1).leases.isEmpty, "this heartbeat was sent before the leases arrived")
    bench.now += 100
    #expect(bench.beat(1, holding: 0, active: 4).leases.isEmpty, "one free slot is too little for a group")
    bench.receive(.groupResult(Bench.result(leases[0])), from: Bench.worker(1))
    #expect(bench.beat(1, holding: 0, active: 2).leases(to: 1).map(\.prompt) == [4])
  }

  @Test("A worker with fewer slots than a group has samples still gets one group at a time")
  func smallWorker() {
    var bench = Bench { $0.rollout.groupSize = 4 }
    bench.joinLearner()
    #expect(bench.join(1, slots: 2, credit: 1).leases.count == 1)
  }

  @Test("After its deadline a lease goes to another worker; the first result counts, whoever brings it")
  func deadline() {
    var bench = Bench()
    let first = bench.start()
    bench.join(2)
    let again = bench.wait(5100).leases
    #expect(again.map(\.id) == first.map(\.id))
    #expect(again.allSatisfy { $0.attempt == 2 })
    #expect(bench.state.tally.expired == 3)
    let effects = bench.finish(first[0], by: 1)
    #expect(effects.acknowledged(to: 1) == [first[0].id])
    #expect(effects.acknowledged(to: 2) == [first[0].id])
    #expect(bench.finish(again[0], by: 2).acknowledged(to: 2) == [first[0].id])
    #expect(bench.state.tally.duplicates == 1)
    #expect(bench.state.status(now: bench.now).groupsDone == 1)
  }

  @Test("A lease that its worker seems not to have got is sent to it again, as the same attempt")
  func resending() {
    var bench = Bench()
    let first = bench.start()
    bench.beat(1, holding: 0, credit: 1, active: 0)
    let again = bench.wait(600).leases
    #expect(again.prefix(3) == first[...])
    #expect(bench.state.tally.resent >= 3)
    #expect(bench.state.tally.requeued == 0)
  }

  @Test("A lease that a draining worker returns is given out again, without counting as an attempt")
  func drainingWorker() {
    var bench = Bench { $0.farm.attemptsMax = 1 }
    let first = bench.start()
    bench.join(2)
    let returned = LeaseReturned(lease: first[1].id, attempt: 1, cause: .draining, reason: "leaving")
    let again = bench.receive(.leaseReturned(returned), from: Bench.worker(1)).leases
    #expect(again.map(\.id) == [first[1].id])
    #expect(bench.effects.leases(to: 2).count == 1)
    bench.receive(.leaseReturned(returned), from: Bench.worker(1))
    #expect(bench.state.tally.late == 1, "the repetition changes nothing")
    #expect(bench.state.tally.requeued == 1, "the repetition changes nothing")
  }

  @Test("A lease whose version the worker does not hold goes to one that does")
  func versionNotHeld() {
    var bench = Bench()
    let first = bench.start()
    bench.join(2)
    let returned = LeaseReturned(lease: first[0].id, attempt: 1, cause: .versionNotHeld, reason: "")
    #expect(bench.receive(.leaseReturned(returned), from: Bench.worker(1)).leases(to: 2).map(\.id) == [first[0].id])
  }

  @Test("A prompt that fails all its attempts is quarantined, reported and replaced, and the step is whole")
  func quarantine() {
    var bench = Bench()
    var leases = bench.start()
    let poison = leases[1]
    for attempt in 1...3 as ClosedRange<UInt32> {
      let returned = LeaseReturned(lease: poison.id, attempt: attempt, cause: .impossible, reason: "too long")
      var effects = bench.receive(.leaseReturned(returned), from: Bench.worker(1))
      if attempt == 2 {
        #expect(effects.leases.isEmpty, "the last attempt waits for a worker that has nothing else")
        effects = bench.finish(leases[0], by: 1) + bench.finish(leases[2], by: 1)
      }
      if attempt < 3 {
        #expect(effects.leases.map(\.attempt) == [attempt + 1])
        #expect(effects.leases.first?.id == poison.id)
      } else {
        #expect(effects.logs.contains { $0.contains("prompt 1 of step 1 is quarantined") && $0.contains("too long") })
        leases = effects.leases
      }
    }
    let batch = bench.work(leases, by: 1).batches.first
    #expect(batch?.groups.count == 3)
    #expect(batch?.groups.contains { $0.prompt == poison.prompt } == false)
    #expect(bench.state.tally.quarantined == 1)
    #expect(bench.complete(0).rows.first?.values["prompts_quarantined"] == 1)
  }

  @Test("A prompt that kills its workers is found out: its last attempt is made alone, and only it fails")
  func deaths() {
    var bench = Bench { $0.farm.attemptsMax = 2 }
    let first = bench.start()
    #expect(first.count == 3)
    bench.silence(Bench.worker(1))
    bench.wait(1000)
    let alone = bench.join(2).leases
    #expect(alone.map(\.prompt) == [0])
    #expect(alone.first?.attempt == 2)
    #expect(bench.beat(2, holding: 0).leases.isEmpty, "nothing next to an isolated retry")
    bench.silence(Bench.worker(2))
    bench.wait(1000)
    #expect(bench.state.tally.quarantined == 1)
    var open = bench.join(3).leases
    var batches: [TrainBatch] = []
    while let lease = open.first {
      open.removeFirst()
      open += bench.finish(lease, by: 3).leases
      batches += bench.effects.batches
    }
    #expect(batches.first?.groups.map(\.prompt).prefix(2) == [1, 2])
    #expect(batches.first?.groups.count == 3)
    #expect(bench.state.tally.quarantined == 1)
  }

  @Test("One worker that dies again and again costs no prompt that is fine")
  func oneMortalWorker() {
    var bench = Bench()
    bench.joinLearner()
    for number in 1...2 as ClosedRange<UInt8> {
      bench.join(number)
      bench.silence(Bench.worker(number))
      bench.wait(1000)
    }
    let leases = bench.join(3).leases
    #expect(leases.count == 1)
    let batch = bench.work(leases, by: 3).batches.first
    #expect(batch?.groups.map(\.prompt) == [0, 1, 2])
    #expect(bench.state.tally.quarantined == 0)
  }

  @Test("A worker smaller than a group whose lease has expired gets work again")
  func expiredSmallWorker() {
    var bench = Bench { $0.rollout.groupSize = 4 }
    bench.joinLearner()
    let first = bench.join(1, slots: 2, credit: 1).leases
    #expect(first.count == 1)
    bench.beat(1, holding: 0, credit: 1, active: 0)
    #expect(bench.wait(5200).leases.contains { $0.id == first[0].id && $0.attempt == 2 })
  }

  @Test("When prompt after prompt fails, the run ends with the reason")
  func hopeless() {
    var bench = Bench { $0.farm.attemptsMax = 1 }
    var open = bench.start()
    var logs: [CoordinatorEffect] = []
    while let lease = open.first, bench.state.outcome == nil {
      open.removeFirst()
      let returned = LeaseReturned(lease: lease.id, attempt: 1, cause: .impossible, reason: "too long")
      logs += bench.receive(.leaseReturned(returned), from: Bench.worker(1))
      open += bench.effects.leases
    }
    bench.receive(.goodbye(Goodbye(reason: "saved")), from: Bench.learner)
    guard case .failed(let reason)? = bench.effects.outcome else { return #expect(Bool(false), "\(bench.effects)") }
    #expect(reason.contains("too long"))
  }

  @Test("Results that nobody waits for are acknowledged and counted")
  func lateAndForeign() {
    var bench = Bench()
    let first = bench.start()
    bench.work(first, by: 1)
    bench.complete(0)
    #expect(bench.finish(first[0], by: 1).acknowledged(to: 1) == [first[0].id])
    var result = Bench.result(first[0])
    result.lease = LeaseID(12345)
    result.group.step = 77
    #expect(bench.receive(.groupResult(result), from: Bench.worker(1)).acknowledged(to: 1) == [result.lease])
    #expect(bench.state.tally.late == 1)
    #expect(bench.state.tally.foreign == 1)
  }

  struct Fault: Sendable, CustomTestStringConvertible {
    var name: String
    var change: @Sendable (inout RolloutGroup) -> Void
    var testDescription: String { name }
    init(_ name: String, _ change: @escaping @Sendable (inout RolloutGroup) -> Void) {
      self.name = name
      self.change = change
    }
  }

  @Test(
    "A result that contradicts its lease is not admitted, and the work is done again",
    arguments: [
      Fault("step") { $0.step += 1 },
      Fault("prompt") { $0.prompt += 1 },
      Fault("no prompt tokens") { $0.promptTokens = [] },
      Fault("negative prompt token") { $0.promptTokens = [-1] },
      Fault("too few rollouts") { $0.rollouts.removeLast() },
      Fault("too many rollouts") { $0.rollouts.append($0.rollouts[0]) },
      Fault("no tokens") {
        $0.rollouts[1].tokens = []
        $0.rollouts[1].behaviourLogProbabilities = []
        $0.rollouts[1].logTruncatedMasses = []
        $0.rollouts[1].entropies = []
      },
      Fault("too many tokens") {
        $0.rollouts[1].tokens = Array(repeating: 1, count: 9)
        $0.rollouts[1].behaviourLogProbabilities = Array(repeating: -1, count: 9)
        $0.rollouts[1].logTruncatedMasses = Array(repeating: 0, count: 9)
        $0.rollouts[1].entropies = Array(repeating: 1, count: 9)
      },
      Fault("negative token") { $0.rollouts[0].tokens[0] = -5 },
      Fault("log-probabilities short") { $0.rollouts[0].behaviourLogProbabilities.removeLast() },
      Fault("truncated masses long") { $0.rollouts[0].logTruncatedMasses.append(0) },
      Fault("entropies short") { $0.rollouts[0].entropies.removeLast() },
      Fault("log-probability NaN") { $0.rollouts[0].behaviourLogProbabilities[0] = .nan },
      Fault("log-probability positive") { $0.rollouts[0].behaviourLogProbabilities[0] = 1 },
      Fault("truncated mass infinite") { $0.rollouts[0].logTruncatedMasses[0] = -.infinity },
      Fault("entropy negative") { $0.rollouts[0].entropies[0] = -1 },
      Fault("reward infinite") { $0.rollouts[0].reward = .infinity },
      Fault("accuracy beyond 1") { $0.rollouts[0].scores = [NamedScore("accuracy", 1.5)] },
      Fault("format below 0") { $0.rollouts[0].scores = [NamedScore("format", -0.5)] },
      Fault("a score that nobody asked for") { $0.rollouts[0].scores = [NamedScore("beauty", 1)] },
    ])
  func malformedResults(_ fault: Fault) {
    var bench = Bench()
    let lease = bench.start()[0]
    var result = Bench.result(lease)
    fault.change(&result.group)
    let effects = bench.receive(.groupResult(result), from: Bench.worker(1))
    #expect(effects.acknowledged(to: 1) == [lease.id])
    #expect(effects.leases.map(\.id) == [lease.id])
    #expect(effects.leases.map(\.attempt) == [2])
    #expect(bench.state.tally.malformed == 1)
    #expect(bench.state.status(now: 0).groupsDone == 0)
  }

  @Test("A sample of an unknown version is refused, and one of an older version dropped; both are done again")
  func versions() {
    var bench = Bench()
    bench.work(bench.start(), by: 1)
    let leases = bench.complete(0).leases + bench.beat(1, holding: 1).leases
    #expect(leases.count == 3)
    var result = Bench.result(leases[0])
    result.group.policyVersion = PolicyVersion(9)
    #expect(bench.receive(.groupResult(result), from: Bench.worker(1)).acknowledged(to: 1).count == 1)
    result = Bench.result(leases[1])
    result.group.policyVersion = PolicyVersion(0)
    bench.receive(.groupResult(result), from: Bench.worker(1))
    #expect(bench.state.tally.unknownVersion == 1)
    #expect(bench.state.tally.stale == 1)
    #expect(bench.state.status(now: 0).groupsDone == 0)
    #expect(bench.beat(1, holding: 1).leases.map(\.id) == [leases[0].id, leases[1].id])
    #expect(bench.state.tally.quarantined == 0)
  }
}
