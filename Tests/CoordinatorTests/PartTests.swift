import Coordinator
import Core
import FoveaTesting
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
    #expect(drawn.map(\.prompt.id) == [7, 8, 9, 10] && next == 11)
    #expect(source.prompts(from: 7, count: 4).drawn == drawn)
    var seen: Set<UInt64> = []
    for step in 0..<50 as Range<UInt32> {
      var position: UInt64 = 0
      for _ in 0..<20 {
        let one = source.replacement(step: step, position: &position, taken: [])
        #expect(one.cursor >= PromptSource.cursorMax && seen.insert(one.cursor).inserted)
      }
    }
  }

  @Test("The archive keeps the newest steps, and always the last one")
  func archive() {
    func batch(_ step: UInt32, tokens: Int) -> TrainBatch {
      TrainBatch(
        step: step, cursor: 0,
        groups: [
          RolloutGroup(
            step: step, prompt: 0, policyVersion: PolicyVersion(0), promptTokens: Array(repeating: 1, count: tokens),
            rollouts: [])
        ])
    }
    var archive = BatchArchive(stepCountMax: 3, tokenCountMax: 100)
    for step in 5...9 as ClosedRange<UInt32> { archive.keep(batch(step, tokens: 10)) }
    #expect((0...12).map { archive[$0] != nil } == (0...12).map { (7...9).contains($0) })
    archive.keep(batch(10, tokens: 1000))
    #expect(archive.oldestStep == 10 && archive[10] != nil && archive[9] == nil)
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
