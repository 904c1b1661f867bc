import Runs
import Testing
import Wire

@Suite("The progress of a run")
struct RunProgressTests {
  private func progress(step: UInt32, of stepCount: UInt32 = 4, count: RunProgress.Count? = nil) -> RunProgress {
    RunProgress(runID: "r", phase: "training", step: step, stepCount: stepCount, count: count, secondsElapsed: 1)
  }

  @Test("counts the open step by its groups, up to nine tenths, and not by the prompts of an evaluation")
  func share() {
    #expect(progress(step: 1).share == 0)
    #expect(progress(step: 3).share == 0.5)
    #expect(progress(step: 2, count: .init(4, of: 8, .groups)).stepsDone == 1.45)
    #expect(progress(step: 2, count: .init(9, of: 8, .groups)).stepsDone == 1.9)
    #expect(progress(step: 2, count: .init(4, of: 8, .prompts)).stepsDone == 1)
    #expect(progress(step: 2, count: .init(4, of: 0, .groups)).stepsDone == 1)
  }

  @Test("of a run that has ended is the steps that it did")
  func ended() {
    var end = progress(step: 4)
    end.hasEnded = true
    #expect(end.share == 1)
    end.step = 1
    #expect(end.share == 0.25)
  }

  @Test("stays between 0 and 1, whatever the numbers are")
  func limits() {
    #expect(progress(step: .max, of: 0).share == 1)
    #expect(progress(step: 0).share == 0)
  }

  @Test("of a farm follows from its status", arguments: ["rollout", "evaluating", "finished"])
  func farm(phase: String) {
    let status = FarmStatus(
      runID: "r", phase: phase, step: 3, stepCount: 9, version: PolicyVersion(2), groupsDone: 1, groupsWanted: 8,
      secondsElapsed: 7, metrics: [:], peers: [], waits: [])
    let expected = RunProgress(
      runID: "r", phase: phase, step: 3, stepCount: 9, version: PolicyVersion(2),
      count: .init(1, of: 8, phase == "evaluating" ? .prompts : .groups), secondsElapsed: 7,
      hasEnded: phase == "finished")
    #expect(status.progress == expected)
    var idle = status
    idle.groupsWanted = 0
    #expect(idle.progress.count == nil)
  }
}
