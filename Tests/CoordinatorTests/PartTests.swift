import Coordinator
import FoveaTesting
import Prompts
import Testing
import Wire

@Suite("Parts of the coordinator")
struct PartTests {
  @Test("The gate admits exactly the versions that a step allows", arguments: [0, 1, 3])
  func gate(maxStaleness: Int) {
    var gate = StalenessGate(maxStaleness: maxStaleness)
    gate.begin(at: 10, version: PolicyVersion(100))
    for i in 1...5 as ClosedRange<UInt64> { #expect(gate.publish(PolicyVersion(100 + 2 * i)) == true) }
    for step in 10...15 as ClosedRange<UInt32> {
      for trained in 10...15 as ClosedRange<UInt32> {
        let verdict = gate.judge(PolicyVersion(100 + 2 * UInt64(trained - 10)), for: step)
        let staleness = Int(step) - Int(trained)
        let expected: StalenessGate.Verdict =
          staleness < 0 ? .unknown : staleness <= maxStaleness ? .admitted(staleness: staleness) : .stale
        #expect(verdict == expected, "step \(step), version after \(trained)")
      }
      #expect(gate.judge(PolicyVersion(101), for: step) == .unknown)
      #expect(gate.judge(PolicyVersion(98), for: step) == .unknown)
    }
    #expect(gate.oldestAllowed(for: 15 + UInt32(maxStaleness)) == PolicyVersion(110))
    #expect(gate.oldestAllowed(for: 16 + UInt32(maxStaleness)) == nil)
    #expect(gate.oldestAllowed(for: 10) == PolicyVersion(100))
  }

  @Test("Versions only grow")
  func monotone() {
    var gate = StalenessGate(maxStaleness: 0)
    #expect(gate.publish(PolicyVersion(1)) == false, "nothing has begun")
    gate.begin(at: 0, version: PolicyVersion(5))
    #expect([5, 4, 6].map { gate.publish(PolicyVersion($0)) } == [false, false, true])
    #expect(gate.newest == PolicyVersion(6))
  }

  @Test("What a step draws is a function of the cursor alone, and replacements touch no other step")
  func source() {
    let source = PromptSource(dataset: SimulatedDataset())
    let (drawn, next) = source.prompts(from: 7, count: 4)
    #expect(drawn.map(\.prompt.id) == [7, 8, 9, 10])
    #expect(next == 11)
    #expect(source.prompts(from: 7, count: 4).drawn == drawn)
    var careful = source
    careful.quarantined = [8, 11]
    #expect(careful.prompts(from: 7, count: 4).drawn.map(\.prompt.id) == [7, 9, 10, 12])
    var seen: Set<UInt64> = []
    for step in 0..<50 as Range<UInt32> {
      var position: UInt64 = 0
      for _ in 0..<20 {
        let one = source.replacement(step: step, position: &position, taken: [])
        #expect(one.cursor >= PromptSource.cursorMax)
        #expect(seen.insert(one.cursor).inserted)
      }
    }
  }

  @Test(
    "The archive has the newest batch and the one read back; a checkpoint covers steps only when the next one is there")
  func archive() {
    func batch(_ step: UInt32) -> TrainBatch { TrainBatch(step: step, cursor: UInt64(step) * 10, groups: []) }
    var archive = BatchArchive()
    archive.begin(at: 5)
    for step in 5...9 as ClosedRange<UInt32> { archive.keep(batch(step)) }
    #expect(archive.kept == 5..<10)
    #expect(archive[9] != nil)
    #expect(archive[8] == nil)
    #expect(archive.recalls(8) == true)
    #expect(archive.recalls(8) == false)
    #expect(archive.cursorAfter(8) == 80)
    archive.recalled(batch(8))
    #expect(archive[8] != nil)
    #expect(archive[9] != nil)
    #expect(archive.recalls(4) == false)
    #expect(archive.recalls(10) == false)
    #expect([7, 7, 9].map { archive.saved($0) } == [nil, nil, 7])
    #expect(archive.kept == 7..<10)
    // The checkpoint behind 9 steps was damaged.
    archive.learnerReturns(at: 7)
    #expect(archive.saved(10) == nil)
    #expect(archive.kept == 7..<10)
  }

  @Test("Lease ids of training and evaluation never meet")
  func leaseIDs() {
    let prompt = SimulatedDataset().trainingPrompt(at: 0)
    let train = (0..<100).map {
      LeaseWork.train(step: 0, drawn: DrawnPrompt(cursor: $0, prompt: prompt), groupSize: 1).id
    }
    let evaluate = (0..<10).flatMap { step in
      (0..<10).map { LeaseWork.evaluate(step: step, drawn: DrawnPrompt(cursor: $0, prompt: prompt)).id }
    }
    #expect(Set(train + evaluate).count == 200)
  }
}
