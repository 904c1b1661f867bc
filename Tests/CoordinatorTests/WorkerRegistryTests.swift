import Coordinator
import Support
import Testing
import Wire

@Suite("The worker registry")
struct WorkerRegistryTests {
  private static func hello(_ incarnation: UInt64, name: String = "w", slots: UInt32 = 8) -> Hello {
    Hello(role: .worker, name: name, incarnation: incarnation, host: "host", slots: slots)
  }

  private static func address(_ number: UInt8, owner: String = "") -> PeerAddress {
    PeerAddress(bytes: [number], owner: owner)
  }

  /// Workers 1 to `count`, each at the address of its number.
  private func registry(_ count: UInt8, silenceMax: Milliseconds = 300) -> WorkerRegistry {
    var registry = WorkerRegistry(silenceMax: silenceMax)
    for number in 1...count { _ = registry.join(Self.hello(UInt64(number)), at: Self.address(number), now: 0) }
    return registry
  }

  @Test("A worker is found by its incarnation and by its address")
  func lookup() {
    let registry = registry(3)
    #expect(registry.index(of: 2) == 1)
    #expect(registry.index(at: Self.address(2)) == 1)
    #expect(registry.index(of: 9) == nil)
    #expect(registry.liveCount == 3)
  }

  @Test("Names of live workers are unique, and a lost worker's name is free")
  func names() {
    var registry = registry(2)
    #expect(registry.live.map(\.name) == ["w", "w-2"])
    #expect(registry.heard(1, now: 200) == false)
    #expect(registry.loseSilent(now: 400).map(\.incarnation) == [1])
    _ = registry.join(Self.hello(3), at: Self.address(3), now: 400)
    #expect(registry.live.map(\.name) == ["w-2", "w"])
    #expect(registry.heard(0, now: 450) == true)
    #expect(registry[0].name == "w-3", "its name was taken meanwhile")
  }

  @Test("A worker is lost after the longest silence and not before, once, and takes no work then")
  func silence() {
    var registry = registry(1)
    registry[0].report(takesWork: true, activeSamples: 0, now: 0)
    #expect(registry.loseSilent(now: 300).isEmpty)
    #expect(registry.loseSilent(now: 301).map(\.incarnation) == [1])
    #expect(registry.loseSilent(now: 302).isEmpty)
    #expect(registry[0].lostAt == 301)
    #expect(registry[0].freeSlots == 0)
    #expect(registry.live.isEmpty)
  }

  @Test("Time in which the coordinator itself stood still is nobody's silence")
  func extendedDeadlines() {
    var registry = registry(1)
    registry.extendDeadlines(by: 10_000, now: 10_000)
    #expect(registry.loseSilent(now: 10_300).isEmpty)
    #expect(registry.loseSilent(now: 10_301).count == 1)
  }

  @Test("A worker that connects again is found at its new address only")
  func rebinding() {
    var registry = registry(2)
    registry.rebind(0, to: Self.address(9))
    #expect(registry.index(at: Self.address(9)) == 0)
    #expect(registry.index(at: Self.address(1)) == nil)
    #expect(registry.remove(0).incarnation == 1)
    #expect(registry.index(at: Self.address(2)) == 0, "indices follow the records")
  }

  @Test("A hello from elsewhere waits until it shows whether the worker lives, and is then replayed")
  func claims() {
    var registry = registry(1)
    #expect(registry.claim(0, at: Self.address(1), now: 10) == .own)
    #expect(registry.claim(0, at: Self.address(5), now: 10) == .wait)
    _ = registry.heard(0, now: 160)
    #expect(registry.claim(0, at: Self.address(5), now: 161) == .wait)
    _ = registry.heard(0, now: 161)
    #expect(registry.claim(0, at: Self.address(5), now: 162) == .replayed)
    #expect(registry.claim(0, at: Self.address(5, owner: "another key"), now: 162) == .replayed)
  }

  @Test("A hello from elsewhere is the worker's own once the worker is lost")
  func claimOfLost() {
    var registry = registry(1)
    _ = registry.loseSilent(now: 400)
    #expect(registry.claim(0, at: Self.address(5), now: 400) == .own)
  }

  @Test("Free slots are those of the newest heartbeat, less what was granted on its way")
  func freeSlots() {
    var registry = registry(1)
    registry[0].report(takesWork: true, activeSamples: 2, now: 0)
    #expect(registry[0].freeSlots == 6)
    #expect(registry[0].busySlots == 2)
    registry[0].grant(samples: 4, now: 100)
    #expect(registry[0].freeSlots == 2)
    registry[0].report(takesWork: true, activeSamples: 2, now: 110)
    #expect(registry[0].freeSlots == 2, "this heartbeat was sent before the grant arrived")
    registry[0].report(takesWork: true, activeSamples: 6, now: 200)
    #expect(registry[0].freeSlots == 2)
    registry[0].giveBack(samples: 100)
    #expect(registry[0].freeSlots == 8, "never more than it has")
    registry[0].report(takesWork: false, activeSamples: 0, now: 300)
    #expect(registry[0].freeSlots == 0)
  }

  @Test("Of lost workers the newest 256 are kept")
  func lostAreBounded() {
    var registry = WorkerRegistry(silenceMax: 10)
    for number in 0..<300 as Range<UInt64> {
      let address = PeerAddress(bytes: [UInt8(number >> 8), UInt8(number & 255)])
      _ = registry.join(Self.hello(number), at: address, now: Milliseconds(number) * 100)
      _ = registry.loseSilent(now: Milliseconds(number) * 100 + 50)
    }
    #expect(registry.records.count == 256)
    #expect(registry.index(of: 43) == nil)
    #expect(registry.index(of: 44) == 0)
    #expect(registry.index(of: 299) == 255)
  }
}
