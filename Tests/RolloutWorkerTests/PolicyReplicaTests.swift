import FoveaTesting
import RolloutWorker
import Testing
import Wire

@Suite("A worker's replica of the policy")
struct PolicyReplicaTests {
  private static func announced(_ version: UInt64, at endpoint: String = "tcp://a:1") -> PolicyAnnounced {
    PolicyAnnounced(version: PolicyVersion(version), weightsEndpoint: endpoint)
  }

  private static func manifest(_ version: UInt64) -> Message {
    .manifest(SimulatedPolicy.weights(of: PolicyVersion(version)))
  }

  /// A replica that holds a version.
  private static func holding(_ version: UInt64) throws -> PolicyReplica {
    var replica = PolicyReplica()
    _ = replica.announce(announced(version), now: 0)
    _ = replica.received(manifest(version), now: 0)
    let staged = replica.takeStaged()
    let weights = try #require(staged)
    _ = replica.loaded(weights.payload(), now: 0)
    return replica
  }

  @Test("A version is announced, fetched, staged, loaded and then held")
  func stages() throws {
    var replica = PolicyReplica()
    #expect(
      replica.announce(Self.announced(3), now: 0) == [
        .connectToLearner("tcp://a:1"), .sendToLearner(.manifestRequest(.policy)),
      ])
    #expect(replica.target == Self.announced(3))
    #expect(replica.expects(PolicyVersion(3)))
    #expect(replica.takeStaged() == nil)
    _ = replica.received(Self.manifest(3), now: 0)
    #expect(replica.target == nil)
    #expect(replica.expects(PolicyVersion(3)))
    #expect(replica.loading == nil)
    let staged = replica.takeStaged()
    let weights = try #require(staged)
    #expect(replica.loading == "v3")
    #expect(replica.expects(PolicyVersion(3)))
    #expect(replica.takeStaged() == nil, "it is given out once")
    #expect(replica.held == nil)
    #expect(replica.loaded(weights.payload(), now: 0).isEmpty)
    #expect(replica.held == PolicyVersion(3))
    #expect(replica.loading == nil)
    #expect(!replica.expects(PolicyVersion(3)))
  }

  @Test("An announcement of what it has, of what is older, or of what it fetches already is ignored")
  func oldAnnouncements() throws {
    var replica = try Self.holding(5)
    for version in [4, 5] as [UInt64] { #expect(replica.announce(Self.announced(version), now: 0).isEmpty) }
    #expect(!replica.announce(Self.announced(7), now: 0).isEmpty)
    for version in [6, 7] as [UInt64] { #expect(replica.announce(Self.announced(version), now: 0).isEmpty) }
    _ = replica.received(Self.manifest(7), now: 0)
    #expect(replica.announce(Self.announced(7), now: 0).isEmpty, "it is staged")
    _ = replica.takeStaged()
    #expect(replica.announce(Self.announced(7), now: 0).isEmpty, "it is being loaded")
  }

  @Test("A learner that serves a newer version than was announced gives that one")
  func newerThanAnnounced() throws {
    var replica = try Self.holding(1)
    _ = replica.announce(Self.announced(2), now: 0)
    _ = replica.received(Self.manifest(4), now: 0)
    #expect(replica.target == nil)
    #expect(replica.takeStaged()?.manifest.version == PolicyVersion(4))
  }

  @Test("A learner that is behind what was announced is asked again")
  func behind() throws {
    var replica = try Self.holding(1)
    _ = replica.announce(Self.announced(3), now: 0)
    #expect(replica.received(Self.manifest(2), now: 0).isEmpty)
    #expect(replica.target == Self.announced(3))
    #expect(replica.tick(now: WeightsFetcher.timeout) == [.sendToLearner(.manifestRequest(.policy))])
  }

  @Test("What is announced while another version is loaded is fetched after that")
  func announcedWhileLoading() throws {
    var replica = try Self.holding(1)
    _ = replica.announce(Self.announced(2), now: 0)
    _ = replica.received(Self.manifest(2), now: 0)
    let staged = replica.takeStaged()
    let weights = try #require(staged)
    #expect(replica.announce(Self.announced(3, at: "tcp://b:1"), now: 0) == [.connectToLearner("tcp://b:1")])
    #expect(replica.expects(PolicyVersion(2)))
    #expect(replica.expects(PolicyVersion(3)))
    #expect(replica.loaded(weights.payload(), now: 0) == [.sendToLearner(.manifestRequest(.policy))])
    #expect(replica.held == PolicyVersion(2))
    #expect(replica.target == Self.announced(3, at: "tcp://b:1"))
  }

  @Test("The base model of adapters is loaded before the first version, which stays announced meanwhile")
  func baseModel() throws {
    let manifest = WeightsManifest(
      version: PolicyVersion(1), files: [:], tensors: [], payloadByteCount: 0, chunkByteCount: 1024,
      payloadHash: SimulatedPolicy.weights(of: PolicyVersion(1)).payloadHash,
      adapter: WeightsManifest.Adapter(
        rank: 2, alpha: 4, baseHash: SimulatedPolicy.weights(of: PolicyVersion(0)).payloadHash))
    var base = SimulatedPolicy.weights(of: PolicyVersion(0))
    base.part = .baseModel
    var replica = PolicyReplica()
    _ = replica.announce(Self.announced(1), now: 0)
    #expect(replica.received(.manifest(manifest), now: 0) == [.sendToLearner(.manifestRequest(.baseModel))])
    _ = replica.received(.manifest(base), now: 0)
    let staged = replica.takeStaged()
    let weights = try #require(staged)
    #expect(weights.manifest.part == .baseModel)
    #expect(replica.loading == "the base model")
    #expect(replica.expects(PolicyVersion(1)))
    #expect(replica.loaded(weights.payload(), now: 0) == [.sendToLearner(.manifestRequest(.policy))])
    #expect(replica.held == nil)
    #expect(replica.target == Self.announced(1))
    _ = replica.received(.manifest(manifest), now: 0)
    #expect(replica.takeStaged()?.manifest.version == PolicyVersion(1))
  }
}
