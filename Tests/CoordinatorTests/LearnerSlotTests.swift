import Coordinator
import Support
import Testing
import Wire

@Suite("The learner slot")
struct LearnerSlotTests {
  private static let here = PeerAddress(bytes: [1])
  private static let elsewhere = PeerAddress(bytes: [2])

  private static func learner(_ incarnation: UInt64, at address: PeerAddress = here, now: Milliseconds = 0)
    -> LearnerSlot.Learner
  {
    LearnerSlot.Learner(
      Hello(
        role: .learner, name: "learner", incarnation: incarnation, host: "host", policyVersion: PolicyVersion(4),
        weightsEndpoint: "tcp://weights"), at: address, now: now)
  }

  private func slot(nextStep: UInt32 = 0, awaited: UInt32? = nil) -> LearnerSlot {
    var slot = LearnerSlot(silenceMax: 300, resendAfter: 1000, now: 0)
    slot.register(Self.learner(5), nextStep: nextStep, awaited: awaited, now: 0)
    return slot
  }

  @Test("An empty slot is free")
  func empty() {
    var slot = LearnerSlot(silenceMax: 300, resendAfter: 1000, now: 7)
    #expect(slot.live == nil)
    #expect(slot.emptySince == 7)
    #expect(slot.claim(by: 5, at: Self.here, now: 8) == .free)
  }

  @Test("A registered learner holds its version and endpoint, and its repeated hello is its own")
  func registered() {
    var slot = slot(nextStep: 4)
    #expect(slot.live?.incarnation == 5)
    #expect(slot.live?.heldVersion == PolicyVersion(4))
    #expect(slot.live?.weightsEndpoint == "tcp://weights")
    #expect(slot.nextStep == 4)
    #expect(slot.outstanding == nil)
    #expect(slot.claim(by: 5, at: Self.here, now: 1) == .own)
  }

  @Test("A second learner waits until it shows whether the first one lives, and finds the slot taken when it does")
  func taken() {
    var slot = slot()
    #expect(slot.claim(by: 6, at: Self.elsewhere, now: 100) == .wait)
    _ = slot.heard(now: 250)
    #expect(slot.claim(by: 6, at: Self.elsewhere, now: 250) == .wait)
    _ = slot.heard(now: 251)
    #expect(slot.claim(by: 6, at: Self.elsewhere, now: 251) == .taken(by: "learner"))
  }

  @Test("A second learner finds the slot free once the first one is lost")
  func takeover() {
    var slot = slot()
    #expect(slot.claim(by: 6, at: Self.elsewhere, now: 100) == .wait)
    #expect(slot.loseSilent(now: 300) == nil)
    #expect(slot.loseSilent(now: 301)?.incarnation == 5)
    #expect(slot.emptySince == 301)
    #expect(slot.claim(by: 6, at: Self.elsewhere, now: 302) == .free)
    #expect(slot.claim(by: 5, at: Self.elsewhere, now: 302) == .own, "the lost one may come back from another address")
  }

  @Test("A lost learner that is heard again is back, once")
  func back() {
    var slot = slot()
    _ = slot.loseSilent(now: 400)
    #expect(slot.heard(now: 500) == true)
    #expect(slot.heard(now: 501) == false)
    #expect(slot.live?.heardAt == 501)
  }

  @Test("Time in which the coordinator itself stood still is not the learner's silence")
  func extendedDeadlines() {
    var slot = slot()
    slot.extendDeadlines(by: 9_000, now: 9_000)
    #expect(slot.loseSilent(now: 9_300) == nil)
    #expect(slot.loseSilent(now: 9_301) != nil)
  }

  @Test("A batch is outstanding from its sending to its completion, and then the next step is due")
  func batches() {
    var slot = slot(nextStep: 3)
    slot.sent(step: 3, now: 50)
    #expect(slot.outstanding?.step == 3)
    #expect(slot.outstanding?.since == 50)
    #expect(slot.outstanding?.isSentHere == true)
    slot.completed()
    #expect(slot.outstanding == nil)
    #expect(slot.nextStep == 4)
  }

  @Test("A batch is sent again less and less often, and never to a lost learner")
  func resending() {
    var slot = slot()
    slot.sent(step: 0, now: 0)
    var times: [Milliseconds] = []
    for now in stride(from: 0, through: 16_000, by: 500) as StrideThrough<Milliseconds> {
      _ = slot.heard(now: now)
      if slot.resendIsDue(now: now) { times.append(now) }
    }
    #expect(times == [1000, 3000, 7000, 15000])
    _ = slot.loseSilent(now: 90_000)
    #expect(slot.resendIsDue(now: 90_000) == false)
  }

  @Test("A learner that has trained a step already awaits the completion of that step")
  func oneAhead() {
    var slot = slot(nextStep: 3, awaited: 2)
    #expect(slot.nextStep == 2)
    #expect(slot.outstanding?.step == 2)
    #expect(slot.outstanding?.isSentHere == false)
    slot.completed()
    #expect(slot.nextStep == 3)
  }

  @Test("A learner that leaves takes its batch along; registering another forgets its checkpoint")
  func clearing() {
    var slot = slot()
    slot.savedStep = 9
    slot.sent(step: 0, now: 0)
    slot.clear(now: 77)
    #expect(slot.learner == nil)
    #expect(slot.outstanding == nil)
    #expect(slot.emptySince == 77)
    #expect(slot.savedStep == 9, "its checkpoints are still there")
    slot.register(Self.learner(6), nextStep: 0, awaited: nil, now: 80)
    #expect(slot.savedStep == 0)
  }
}
