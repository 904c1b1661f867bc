import RolloutWorker
import Testing
import Wire

@Suite("The policy fence")
struct PolicyFenceTests {
  private static func announced(_ version: UInt64, at endpoint: String = "tcp://a:1") -> PolicyAnnounced {
    PolicyAnnounced(version: PolicyVersion(version), weightsEndpoint: endpoint)
  }

  /// A fence whose decoder holds a version.
  private func fence(holding version: UInt64) -> PolicyFence {
    var fence = PolicyFence()
    _ = fence.announce(Self.announced(version))
    fence.fetched(PolicyVersion(version))
    _ = fence.takeStaged()
    fence.loaded(PolicyVersion(version))
    return fence
  }

  @Test("A version is announced, fetched, staged, loaded and held, in that order")
  func life() {
    var fence = PolicyFence()
    #expect(fence.held == nil)
    #expect(fence.announce(Self.announced(1)) == true)
    #expect(fence.target == Self.announced(1))
    #expect(fence.takeStaged() == nil)
    fence.fetched(PolicyVersion(1))
    #expect(fence.target == nil)
    #expect(fence.staged == PolicyVersion(1))
    #expect(fence.takeStaged() == PolicyVersion(1))
    #expect(fence.loading == PolicyVersion(1))
    #expect(fence.held == nil)
    fence.loaded(PolicyVersion(1))
    #expect(fence.held == PolicyVersion(1))
    #expect(fence.loading == nil)
  }

  @Test("What is held, or older, is not fetched again", arguments: [1, 2] as [UInt64])
  func notNewer(version: UInt64) {
    var fence = fence(holding: 2)
    #expect(fence.announce(Self.announced(version)) == false)
    #expect(fence.target == nil)
  }

  @Test("A repeated announcement changes nothing; the same version elsewhere is fetched from there")
  func repeated() {
    var fence = fence(holding: 1)
    #expect(fence.announce(Self.announced(2)) == true)
    #expect(fence.announce(Self.announced(2)) == false)
    #expect(fence.announce(Self.announced(2, at: "tcp://b:1")) == true)
    #expect(fence.target?.weightsEndpoint == "tcp://b:1")
  }

  @Test("A late announcement of an older version does not replace the one that is being fetched")
  func late() {
    var fence = fence(holding: 1)
    #expect(fence.announce(Self.announced(3)) == true)
    #expect(fence.announce(Self.announced(2)) == false)
    #expect(fence.target == Self.announced(3))
  }

  @Test("The learner may serve a newer version than was announced")
  func newerServed() {
    var fence = fence(holding: 1)
    _ = fence.announce(Self.announced(2))
    fence.fetched(PolicyVersion(3))
    #expect(fence.target == nil)
    #expect(fence.staged == PolicyVersion(3))
  }

  @Test("A newer announcement stands when an older version has been fetched")
  func targetStays() {
    var fence = fence(holding: 1)
    _ = fence.announce(Self.announced(3))
    fence.fetched(PolicyVersion(2))
    #expect(fence.target == Self.announced(3))
    #expect(fence.staged == PolicyVersion(2))
  }

  @Test("Bytes that are no newer than what the worker has are not staged")
  func notStaged() {
    var fence = fence(holding: 2)
    fence.fetched(PolicyVersion(2))
    fence.fetched(PolicyVersion(1))
    #expect(fence.staged == nil)
  }

  @Test("One version is loaded at a time; a newer one waits, staged")
  func oneAtATime() {
    var fence = PolicyFence()
    fence.fetched(PolicyVersion(1))
    #expect(fence.takeStaged() == PolicyVersion(1))
    fence.fetched(PolicyVersion(2))
    #expect(fence.takeStaged() == nil)
    fence.loaded(PolicyVersion(1))
    #expect(fence.takeStaged() == PolicyVersion(2))
  }

  @Test("Work is expected for the version on its way, and for no other")
  func expectation() {
    var fence = fence(holding: 1)
    #expect(!fence.expects(PolicyVersion(2)))
    _ = fence.announce(Self.announced(2))
    #expect(fence.expects(PolicyVersion(2)))
    fence.fetched(PolicyVersion(2))
    #expect(fence.expects(PolicyVersion(2)))
    _ = fence.takeStaged()
    #expect(fence.expects(PolicyVersion(2)))
    #expect(!fence.expects(PolicyVersion(3)))
    fence.loaded(PolicyVersion(2))
    #expect(!fence.expects(PolicyVersion(2)), "it is held, not on its way")
  }
}
