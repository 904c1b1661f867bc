import Console
import Testing

// What follows from the end of a process, case by case, without a process.

@Suite struct SupervisionTests {
  private static let killed = ProcessEnd.killed(signal: 9)

  private func farm(workers: Int) -> Supervision {
    var supervision = Supervision()
    supervision.onStart("learner", .learner)
    for index in 0..<workers { supervision.onStart("worker-\(index)", .worker) }
    return supervision
  }

  @Test("A process that dies is replaced a bounded number of times", arguments: ["learner", "worker-0"])
  func aProcessThatDiesIsReplacedABoundedNumberOfTimes(name: String) {
    var supervision = farm(workers: 1)
    for left in (0..<Supervision.restartsMax).reversed() {
      #expect(supervision.onEnd(name, Self.killed) == .replace(left: left))
      supervision.onStart(name, name == "learner" ? .learner : .worker)
    }
    guard case .fail(let reason) = supervision.onEnd(name, Self.killed) else {
      Issue.record("the farm should fail")
      return
    }
    #expect(reason.contains("\(name) was killed (signal 9), after 5 restarts"))
  }

  @Test("What a restart does not fix is not restarted", arguments: [ExitCode.input, .usage])
  func whatARestartDoesNotFixIsNotRestarted(code: ExitCode) {
    var supervision = farm(workers: 2)
    #expect(supervision.onEnd("worker-0", .exited(code: code.rawValue)) == .lose)
    #expect(
      supervision.onEnd("learner", .exited(code: code.rawValue))
        == .fail(reason: "learner ended with exit code \(code.rawValue)"))
  }

  @Test("A coordinator that is killed is restarted, and the end of one that ends is taken as the run's")
  func aCoordinatorThatIsKilledComesBackAndOneThatEndsIsBelieved() {
    var supervision = farm(workers: 1)
    supervision.onStart("coordinator", .coordinator)
    #expect(supervision.onEnd("coordinator", Self.killed) == .replace(left: 4))
    supervision.onStart("coordinator", .coordinator)
    #expect(
      supervision.onEnd("coordinator", .exited(code: 3)) == .fail(reason: "coordinator ended with exit code 3"))
    supervision.onStart("coordinator", .coordinator)
    #expect(supervision.onEnd("coordinator", .exited(code: 0)) == .accept)
  }

  @Test("The farm fails with its last worker")
  func theFarmFailsWithItsLastWorker() {
    var supervision = farm(workers: 2)
    #expect(supervision.onEnd("worker-1", .exited(code: 1)) == .lose)
    #expect(
      supervision.onEnd("worker-0", .exited(code: 1))
        == .fail(reason: "the last worker is gone: worker-0 ended with exit code 1"))
  }

  @Test("A worker may leave on purpose")
  func aWorkerMayLeaveOnPurpose() {
    var supervision = farm(workers: 1)
    #expect(supervision.onEnd("worker-0", .exited(code: 0)) == .accept)
  }

  @Test("A learner that leaves too early is replaced")
  func aLearnerThatLeavesTooEarlyIsReplaced() {
    var supervision = farm(workers: 1)
    #expect(supervision.onEnd("learner", .exited(code: 0)) == .replace(left: 4))
  }

  @Test("Once the farm drains, every end is expected")
  func onceDrainingEveryEndIsExpected() {
    var supervision = farm(workers: 1)
    supervision.onDrain()
    #expect(supervision.onEnd("worker-0", Self.killed) == .accept)
    #expect(supervision.onEnd("learner", .exited(code: 0)) == .accept)
  }

  @Test("A learner that cannot make its last checkpoint is no orderly end")
  func aLearnerThatCannotMakeItsLastCheckpointIsNoOrderlyEnd() {
    var supervision = farm(workers: 1)
    supervision.onDrain()
    #expect(supervision.onEnd("learner", .exited(code: 1)) == .fail(reason: "learner ended with exit code 1"))
  }

  @Test("A run that failed is no orderly end, whichever process leaves first")
  func aRunThatFailedIsNoOrderlyEndWhoeverLeavesFirst() {
    var supervision = farm(workers: 1)
    supervision.onStart("coordinator", .coordinator)
    supervision.onDrain()
    #expect(
      supervision.onEnd("coordinator", .exited(code: 3)) == .fail(reason: "coordinator ended with exit code 3"))
    #expect(supervision.onEnd("learner", .exited(code: 0)) == .accept)
  }

  @Test(
    "An end is said in words",
    arguments: [
      (ProcessEnd.exited(code: 3), "ended with exit code 3"), (.killed(signal: 9), "was killed (signal 9)"),
      (.killed(signal: 11), "crashed (signal 11, segmentation fault)"),
      (.killed(signal: 15), "was ended by signal 15, terminated"),
    ])
  func anEndIsSaidInWords(end: ProcessEnd, words: String) {
    #expect(end.description == words)
  }
}
