import Coordinator
import FoveaTesting
import Support
import Testing
import Wire

@Suite("The group assembler")
struct GroupAssemblerTests {
  private static func drawn(_ cursor: UInt64) -> DrawnPrompt {
    DrawnPrompt(cursor: cursor, prompt: SimulatedDataset().trainingPrompt(at: cursor))
  }

  private static func work(_ cursor: UInt64) -> LeaseWork {
    .train(step: 4, drawn: drawn(cursor), groupSize: 2)
  }

  /// A group with variance, or one whose samples are all rewarded alike.
  private static func group(_ cursor: UInt64, isFlat: Bool = false) -> RolloutGroup {
    SimulatedPolicy.group(
      step: 4, prompt: cursor, seed: 1, groupSize: 2, maxNewTokens: 8, version: PolicyVersion(4),
      zeroVarianceShare: isFlat ? 1 : 0)
  }

  private func assembler(_ cursors: [UInt64], replacementsMax: Int = 0) -> GroupAssembler {
    GroupAssembler(step: 4, drawn: cursors.map { Self.drawn($0) }, cursorAfter: 99, replacementsMax: replacementsMax)
  }

  private func admit(
    _ cursor: UInt64, to assembler: inout GroupAssembler, isFlat: Bool = false, staleness: Int = 0,
    now: Milliseconds = 0
  ) -> Bool {
    assembler.admit(Self.group(cursor, isFlat: isFlat), for: Self.work(cursor), staleness: staleness, now: now)
  }

  @Test("A step is complete with a group for each prompt, and its batch is sorted by prompt")
  func complete() {
    var assembler = assembler([7, 3, 5])
    #expect(assembler.wanted == 3)
    for (done, cursor) in [5, 7, 3].enumerated() as EnumeratedSequence<[UInt64]> {
      #expect(assembler.doneCount == done)
      #expect(!assembler.isComplete)
      #expect(admit(cursor, to: &assembler) == false)
    }
    #expect(assembler.isComplete)
    #expect(assembler.openCount == 0)
    #expect(assembler.batch() == TrainBatch(step: 4, cursor: 99, groups: [3, 5, 7].map { Self.group($0) }))
    #expect(assembler.chosenLeases == [3, 5, 7].map { Self.work($0).id })
  }

  @Test("Without dynamic sampling a group without variance is taken as it is, and counted")
  func flatTaken() {
    var assembler = assembler([0, 1])
    #expect(admit(0, to: &assembler, isFlat: true) == false)
    #expect(admit(1, to: &assembler) == false)
    #expect(assembler.batch().groups.map(\.prompt) == [0, 1])
    #expect(assembler.metrics()["zero_variance"] == 0.5)
  }

  @Test("With dynamic sampling a group without variance is set aside for a replacement")
  func flatReplaced() {
    var assembler = assembler([0, 1], replacementsMax: 4)
    #expect(admit(0, to: &assembler, isFlat: true) == true)
    assembler.add(Self.drawn(50))
    #expect(admit(1, to: &assembler) == false)
    #expect(!assembler.isComplete)
    #expect(admit(50, to: &assembler) == false)
    #expect(assembler.batch().groups.map(\.prompt) == [1, 50])
    #expect(assembler.replacementCount == 1)
    #expect(assembler.taken == [0, 1, 50])
  }

  @Test("When replacements run out, groups set aside fill the batch, those drawn first, in whatever order they came")
  func bounded() {
    var assembler = assembler([0, 1, 2], replacementsMax: 1)
    #expect(admit(2, to: &assembler, isFlat: true) == true)
    assembler.add(Self.drawn(50))
    #expect(admit(50, to: &assembler, isFlat: true) == false, "the one replacement is used up")
    #expect(admit(1, to: &assembler, isFlat: true) == false)
    #expect(admit(0, to: &assembler) == false)
    #expect(assembler.isComplete)
    #expect(assembler.batch().groups.map(\.prompt) == [0, 1, 2])
  }

  @Test("A quarantined prompt leaves room for its replacement")
  func quarantine() {
    var assembler = assembler([0, 1])
    assembler.quarantine(Self.work(0))
    #expect(assembler.quarantinedCount == 1)
    #expect(admit(1, to: &assembler) == false)
    #expect(!assembler.isComplete, "a group is missing")
    assembler.add(Self.drawn(60))
    #expect(admit(60, to: &assembler) == false)
    #expect(assembler.batch().groups.map(\.prompt) == [1, 60])
    #expect(assembler.metrics()["prompts_quarantined"] == 1)
  }

  @Test("The step's metrics span its first lease to its last group")
  func metrics() {
    var assembler = assembler([0, 1])
    assembler.startedAt = 1000
    _ = admit(0, to: &assembler, staleness: 0, now: 1500)
    _ = admit(1, to: &assembler, staleness: 2, now: 3000)
    let metrics = assembler.metrics()
    #expect(metrics["rollout_seconds"] == 2)
    #expect(metrics["groups"] == 2)
    #expect(metrics["samples"] == 4)
    #expect(metrics["staleness"] == 1)
    #expect(metrics["staleness_max"] == 2)
    let tokens = [0, 1].flatMap { Self.group($0).rollouts }.reduce(0) { $0 + $1.tokens.count }
    #expect(metrics["tokens"] == Double(tokens))
    #expect(metrics["tokens_per_second"] == Double(tokens) / 2)
  }
}
