import Console
import Runs
import Testing
import Wire

// The live view as text: golden frames, widths, hostile input.

private func peer(
  _ name: String, _ role: Role, _ state: String, _ version: UInt64?, rate: Float = 0, groups: UInt64 = 0, age: UInt32
) -> FarmStatus.Peer {
  FarmStatus.Peer(
    name: name, role: role, host: "h", state: state, policyVersion: version.map(PolicyVersion.init),
    tokensPerSecond: rate, groupsDone: groups, leases: 0, heartbeatAgeMilliseconds: age)
}

private let status = FarmStatus(
  runID: "arithmetic-1", phase: "rollout", step: 5, stepCount: 20, version: PolicyVersion(4), groupsDone: 4,
  groupsWanted: 8, secondsElapsed: 61, metrics: ["heldout_accuracy_start": 0.25, "heldout_accuracy": 0.5],
  peers: [
    peer("learner", .learner, "waiting for a batch", 4, age: 210),
    peer("worker-0", .worker, "decoding", 4, rate: 512.4, groups: 20, age: 120),
    peer("worker-1", .worker, "silent 2.1 s", 2, rate: 12_345, groups: 16, age: 2100),
  ],
  waits: ["step 5 waits for 4 groups, since 2.0 s", "lease 37 waits for worker-1, since 2.0 s"])

private func history(_ steps: ClosedRange<UInt32>) -> MetricsHistory {
  var history = MetricsHistory()
  for step in steps {
    let x = Double(step)
    history.append(
      MetricsRow(
        kind: .step, step: step, version: PolicyVersion(UInt64(step)),
        values: [
          "reward": 0.1 * x, "accuracy": 0.125 * x, "entropy": 1 / x, "tau": 0.625, "loss": -0.00125 * x,
          "tokens_per_second": 1000, "seconds_elapsed": 12 * x, "step_seconds": 11,
        ]))
  }
  return history
}

@Suite struct FarmViewTests {
  @Test("A wide terminal shows everything")
  func aWideTerminalShowsEverything() {
    let lines = FarmView(width: 100).lines(status, history(1...4)).map(\.text)
    #expect(
      lines == [
        "arithmetic-1 · step 5/20 · policy v4 · rollout 4/8 groups",
        "████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  22%  1:01 elapsed, 3:07 left",
        "reward      0.400  ▁▃▆█               accuracy    0.500  ▁▃▆█",
        "entropy     0.250  █▃▁▁               tau         0.625  ▄▄▄▄",
        "loss      -0.0050  █▆▃▁               tokens/s     1000  ▄▄▄▄",
        "held-out accuracy  0.250 at start, 0.500 now  +0.250",
        "",
        "peer      state                         tokens/s  groups  policy  lag  heartbeat",
        "learner   waiting for a batch                                 v4           0.2 s",
        "worker-0  decoding                           512      20      v4    0      0.1 s",
        "worker-1  silent 2.1 s                     12.3k      16      v2    2      2.1 s",
        "",
        "waits  step 5 waits for 4 groups, since 2.0 s",
        "waits  lease 37 waits for worker-1, since 2.0 s",
      ])
  }

  @Test("Inexact rollouts show their mismatch")
  func inexactRolloutsShowTheirMismatch() {
    func line(_ metrics: [String: Double]) -> String? {
      var status = status
      status.metrics = metrics
      return FarmView(width: 100).lines(status, MetricsHistory()).map(\.text).first { $0.contains("mismatch") }
    }
    #expect(line(["logprob_mismatch": 0, "logprob_mismatch_max": 0]) == nil)
    #expect(
      line([
        "logprob_mismatch": 0.0125, "logprob_mismatch_max": 0.5, "logprob_mismatch_kl": 0.00125, "importance": 0.998,
      ]) == "log-probability mismatch  0.0125 mean, 0.500 largest, KL 0.0013, importance 0.998")
  }

  @Test("No line is wider than the terminal", arguments: [20, 37, 60, 80, 200])
  func noLineIsWiderThanTheTerminal(width: Int) {
    for line in FarmView(width: width).lines(status, history(1...4)) {
      #expect(line.rendered(width: width, colour: false).columns <= width)
    }
  }

  @Test("A narrow terminal shows one metric a line")
  func aNarrowTerminalShowsOneMetricALine() {
    let lines = FarmView(width: 60).lines(status, history(1...4)).map(\.text)
    #expect(lines.contains("accuracy    0.500  ▁▃▆█"))
  }

  @Test("Before the first step there is no time left and no metric")
  func beforeTheFirstStepThereIsNoTimeLeftAndNoMetric() {
    var start = status
    start.step = 1
    start.groupsDone = 0
    start.metrics = [:]
    start.waits = []
    start.peers = []
    start.version = nil
    start.phase = "waiting for a learner"
    start.groupsWanted = 0
    start.secondsElapsed = 0.4
    #expect(
      FarmView(width: 80).lines(start, MetricsHistory()).map(\.text) == [
        "arithmetic-1 · step 1/20 · waiting for a learner",
        "░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   0%  0:00 elapsed, - left",
      ])
  }

  @Test("A finished run is full")
  func aFinishedRunIsFull() {
    var end = status
    end.step = 20
    end.phase = "finished"
    let line = FarmView(width: 100).lines(end, history(1...20))[1].text
    #expect(line == "████████████████████████████████████████ 100%  1:01 elapsed")
  }

  @Test("A stage shows its progress without a farm")
  func aStageShowsItsProgressWithoutAFarm() {
    var progress = RunProgress(
      runID: "sft-1", phase: "evaluating", step: 2, stepCount: 4, count: .init(3, of: 16, .prompts), secondsElapsed: 24)
    let view = RunView(width: 60)
    #expect(
      view.lines(progress, MetricsHistory()).map(\.text) == [
        "sft-1 · step 2/4 · evaluating 3/16 prompts",
        "████████░░░░░░░░░░░░░░░░░░░░░░░░░  25%  0:24 elapsed, - left",
      ])
    progress.phase = "stopped"
    progress.count = nil
    progress.hasEnded = true
    #expect(view.lines(progress, MetricsHistory())[1].text.hasSuffix(" 50%  0:24 elapsed"))
  }

  @Test("Many waits are cut")
  func manyWaitsAreCut() {
    var busy = status
    busy.waits = (0..<10).map { "wait \($0)" }
    let lines = FarmView(width: 80).lines(busy, MetricsHistory()).map(\.text)
    #expect(lines.suffix(2) == ["waits  wait 5", "       and 4 more"])
  }

  @Test("Any numbers that a peer sends can be drawn")
  func anyNumbersThatAPeerSendsCanBeDrawn() {
    let wild = FarmStatus(
      runID: "x", phase: "", step: .max, stepCount: 0, version: PolicyVersion(.max), groupsDone: .max, groupsWanted: 1,
      secondsElapsed: .infinity, metrics: ["reward": .nan, "loss": -.infinity, "heldout_accuracy": .nan],
      peers: [
        peer("", .worker, "", .max, rate: .nan, groups: .max, age: .max),
        peer("a", .worker, "", 0, rate: -.infinity, age: 0),
      ], waits: [""])
    #expect(FarmView(width: 0).lines(wild, MetricsHistory()).count == 11)
  }

  @Test("A name cannot move the cursor")
  func aNameCannotMoveTheCursor() {
    var hostile = status
    hostile.peers = [peer("\u{1B}[2Jevil\r\n\u{202E}", .worker, "decoding", 4, age: 0)]
    let frame = FarmView(width: 80).lines(hostile, MetricsHistory())
    #expect(frame.last { $0.text.contains("evil") }?.rendered(colour: false).hasPrefix("?[2Jevil???") == true)
  }
}

@Suite struct PlainLogTests {
  @Test("A step and an evaluation are one line each")
  func aStepAndAnEvaluationAreOneLineEach() {
    var log = PlainLog(stepCount: 20)
    func evaluation(_ step: UInt32, _ accuracy: Double) -> MetricsRow {
      MetricsRow(
        kind: .evaluation, step: step, version: PolicyVersion(UInt64(step)),
        values: ["heldout_accuracy": accuracy, "heldout_prompts": 128])
    }
    #expect(log.line(evaluation(0, 0.25)) == "step  0/20  held-out accuracy 0.250 on 128 prompts")
    let row = MetricsRow(
      kind: .step, step: 1, version: PolicyVersion(1),
      values: [
        "reward": 0.5, "accuracy": 0.4375, "entropy": 0.8, "tau": 0.8, "loss": 0.01, "tokens_per_second": 880,
        "step_seconds": 10, "seconds_elapsed": 12,
      ])
    #expect(
      log.line(row)
        == "step  1/20  reward 0.500  accuracy 0.438  entropy 0.800  tau 0.800  loss 0.0100  880 tokens/s  10.0 s  3:10 left"
    )
    #expect(
      log.line(evaluation(20, 0.5)) == "step 20/20  held-out accuracy 0.500 (+0.250 since step 0) on 128 prompts")
  }

  @Test("A stage of supervised training has a loss of its own")
  func aStageOfSupervisedTrainingHasALossOfItsOwn() {
    var log = PlainLog(stepCount: 9)
    func evaluation(_ step: UInt32, _ values: [String: Double]) -> MetricsRow {
      MetricsRow(kind: .evaluation, step: step, version: PolicyVersion(UInt64(step)), values: values)
    }
    #expect(log.line(evaluation(0, ["heldout_loss": 2])) == "step 0/9  held-out loss 2.000")
    #expect(
      log.line(evaluation(9, ["heldout_loss": 0.5, "heldout_accuracy": 0.25, "heldout_prompts": 4]))
        == "step 9/9  held-out accuracy 0.250, held-out loss 0.500 (-1.500 since step 0) on 4 prompts")
  }
}

@Suite struct SparklineTests {
  @Test(
    "Values become blocks",
    arguments: [
      ([], 8, ""), ([1], 8, "▄"), ([0, 1], 8, "▁█"), ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
      ([0, 0, 7, 7], 2, "▁█"), ([.nan, 0, .infinity, 1], 8, "▁█"), ([2, 2, 2], 8, "▄▄▄"), ([1, 2], 0, ""),
    ])
  func valuesBecomeBlocks(values: [Double], width: Int, expected: String) {
    #expect(Sparkline.text(values, width: width) == expected)
  }
}

@Suite struct FrameWriterTests {
  private let frame = [StyledLine("one", .title), StyledLine("two")]

  @Test("The next frame replaces the last one in one write")
  func theNextFrameReplacesTheLastOneInOneWrite() {
    var writer = FrameWriter(colour: false)
    #expect(writer.text(frame: frame, width: 80, height: 24) == "one\u{1B}[K\ntwo\u{1B}[K\n\u{1B}[J")
    #expect(
      writer.text(frame: [StyledLine("three")], width: 80, height: 24) == "\u{1B}[2A\rthree\u{1B}[K\n\u{1B}[J")
  }

  @Test("Notes stay above the frame")
  func notesStayAboveTheFrame() {
    var writer = FrameWriter(colour: false)
    _ = writer.text(frame: frame, width: 80, height: 24)
    let text = writer.text(notes: [StyledLine("note")], frame: frame, width: 80, height: 24)
    #expect(text == "\u{1B}[2A\rnote\u{1B}[K\none\u{1B}[K\ntwo\u{1B}[K\n\u{1B}[J")
  }

  @Test("Colours are written only when wanted")
  func coloursAreWrittenOnlyWhenWanted() {
    var writer = FrameWriter(colour: true)
    #expect(
      writer.text(frame: frame, width: 80, height: 24) == "\u{1B}[1mone\u{1B}[0m\u{1B}[K\ntwo\u{1B}[K\n\u{1B}[J")
  }

  @Test("A small terminal gets as much as fits")
  func aSmallTerminalGetsAsMuchAsFits() {
    var writer = FrameWriter(colour: false)
    let long = [StyledLine("abcdefghij"), StyledLine("klm"), StyledLine("nop")]
    #expect(writer.text(frame: long, width: 6, height: 3) == "abcd…\u{1B}[K\nklm\u{1B}[K\n\u{1B}[J")
  }

  @Test("Lines that a narrowed terminal wrapped are erased too")
  func linesThatANarrowedTerminalWrappedAreErasedToo() {
    var writer = FrameWriter(colour: false)
    _ = writer.text(frame: [StyledLine(String(repeating: "x", count: 70))], width: 80, height: 24)
    #expect(writer.text(frame: [], width: 40, height: 24) == "\u{1B}[2A\r\u{1B}[J")
  }
}

@Suite struct ColumnTests {
  @Test(
    "Wide and combining characters are counted", arguments: [("abc", 3), ("日本", 4), ("e\u{301}", 1), ("🙂", 2), ("", 0)])
  func wideAndCombiningCharactersAreCounted(text: String, columns: Int) {
    #expect(text.columns == columns)
  }

  @Test(
    "A cut text fits",
    arguments: [("abcdef", 4, "abc…"), ("日本語", 4, "日…"), ("abc", 3, "abc"), ("abc", 0, ""), ("abc", 1, "…")])
  func aCutTextFits(text: String, width: Int, expected: String) {
    #expect(text.cut(toColumns: width) == expected)
  }
}
