import Prompts
import Support
import Tensor
import Wire

/// Messages with random content within the limits, one for each case, from a seed.
struct RandomMessages {
  var random: RandomStream

  init(seed: UInt64) { random = RandomStream(seed: seed, purpose: .test) }

  private mutating func below(_ bound: UInt64) -> UInt64 { random.integer(below: bound) }
  private mutating func count(_ bound: UInt64 = 5) -> Int { Int(below(bound)) }
  private mutating func small() -> UInt32 { UInt32(below(1 << 31)) }
  private mutating func total() -> UInt64 { below(1 << 47) }
  private mutating func float() -> Float { (random.uniform() - 0.5) * 64 }
  private mutating func list<T>(_ count: Int, _ element: (inout Self) -> T) -> [T] {
    (0..<count).map { _ in element(&self) }
  }

  private mutating func text() -> String {
    let alphabet: [Character] = ["a", "Z", "0", " ", "\n", "\0", "é", "漢", "🙂", "<", "\""]
    return String(list(count(12)) { alphabet[$0.count(UInt64(alphabet.count))] })
  }
  private mutating func version() -> PolicyVersion { PolicyVersion(total()) }
  private mutating func maybeVersion() -> PolicyVersion? { below(3) == 0 ? nil : version() }
  private mutating func role() -> Role { Role.allCases[count(UInt64(Role.allCases.count))] }

  private mutating func images() -> [PromptImage] {
    list(count(UInt64(PromptImage.countMax + 1))) { r in
      PromptImage(bytes: r.list(r.count(40)) { UInt8($0.below(256)) })
    }
  }

  private mutating func scores() -> [NamedScore] {
    Set(list(count()) { $0.text() }).sorted().map { name in
      below(3) == 0 ? NamedScore(name, failed: "timeout") : NamedScore(name, float())
    }
  }

  mutating func group() -> RolloutGroup {
    RolloutGroup(
      step: small(), prompt: random.next(), policyVersion: version(),
      promptTokens: list(1 + count()) { Int32($0.below(1 << 31)) }, images: images(),
      rollouts: list(1 + count(3)) { r in
        let length = 1 + r.count()
        return Rollout(
          tokens: r.list(length) { Int32($0.below(1 << 31)) }, behaviourLogProbabilities: r.list(length) { $0.float() },
          logTruncatedMasses: r.list(length) { $0.float() }, entropies: r.list(length) { $0.float() },
          finish: r.below(2) == 0 ? .stop : .length, reward: r.float(), scores: r.scores(), text: r.text())
      })
  }

  mutating func lease() -> Lease {
    Lease(
      id: LeaseID(random.next()), attempt: small(), step: small(),
      prompt: random.next(), messages: list(1 + count()) { ChatMessage(role: $0.text(), content: $0.text()) },
      images: images(),
      reward: RewardSpecification(
        kind: text(), reference: text(),
        weights: Dictionary(list(count()) { ($0.text(), $0.float()) }) { a, _ in a },
        options: Dictionary(list(count()) { ($0.text(), $0.text()) }) { a, _ in a }),
      policyVersion: version(), groupSize: 1 + UInt32(count(4096)),
      sampling: SamplingSettings(
        temperature: random.uniform(), topK: count(100), topP: random.uniform(), minP: random.uniform(),
        maxNewTokens: 1 + count(1000)),
      stopStrings: list(count()) { $0.text() }, seed: random.next(), partialGroupMin: UInt32(count(4096)))
  }

  mutating func manifest() -> WeightsManifest {
    let tensors = list(count()) { r in
      WeightsManifest.Tensor(
        name: r.text(), shape: r.list(r.count(3)) { UInt32($0.below(100)) },
        encoding: r.below(2) == 0 ? .float32 : .bfloat16)
    }
    return WeightsManifest(
      part: part(), version: version(),
      files: Dictionary(list(count()) { r in (r.text(), r.list(r.count(20)) { UInt8($0.below(256)) }) }) { a, _ in a },
      tensors: tensors, payloadByteCount: WeightsManifest.payloadByteCount(of: tensors)!,
      chunkByteCount: 1024 + UInt32(count(1 << 20)), payloadHash: random.next(),
      rolloutPrecision: below(2) == 0 ? .exact : .int8,
      adapter: below(2) == 0
        ? nil
        : WeightsManifest.Adapter(rank: 1 + UInt32(count(512)), alpha: Double(float()), baseHash: random.next()))
  }

  mutating func part() -> WeightsPart { below(2) == 0 ? .policy : .baseModel }

  mutating func status() -> FarmStatus {
    FarmStatus(
      runID: text(), phase: text(), step: small(), stepCount: small(), version: maybeVersion(), groupsDone: small(),
      groupsWanted: small(), secondsElapsed: Double(float()),
      metrics: Dictionary(list(count()) { ($0.text(), Double($0.float())) }) { a, _ in a },
      peers: list(count()) { r in
        FarmStatus.Peer(
          name: r.text(), role: r.role(), host: r.text(), state: r.text(), policyVersion: r.maybeVersion(),
          tokensPerSecond: r.float(), groupsDone: r.total(), leases: r.small(), heartbeatAgeMilliseconds: r.small())
      }, waits: list(count()) { $0.text() })
  }

  /// One of each.
  mutating func all() -> [Message] {
    [
      .hello(
        Hello(
          protocolVersion: small(), role: role(), runID: text(), name: text(), incarnation: random.next(), host: text(),
          threads: small(), slots: small(), policyVersion: maybeVersion(),
          weightsEndpoint: text(), nextStep: small(), cursor: total())),
      .heartbeat(
        Heartbeat(
          incarnation: random.next(), activity: text(), policyVersion: maybeVersion(), credit: small(),
          activeSamples: small(), tokensTotal: total(), tokensPerSecond: float(), groupsDone: total())),
      .groupResult(
        GroupResult(lease: LeaseID(random.next()), group: group())),
      .leaseReturned(
        LeaseReturned(
          lease: LeaseID(random.next()), attempt: small(),
          cause: LeaseReturned.Cause(rawValue: 1 + UInt32(count(3)))!, reason: text())),
      .stepCompleted(
        StepCompleted(
          step: small(), version: version(),
          metrics: Dictionary(list(count()) { ($0.text(), Double($0.float())) }) { a, _ in a })),
      .goodbye(Goodbye(reason: text())),
      .statusRequest,
      .welcome(
        Welcome(
          protocolVersion: UInt32(count(3)), runID: text(), name: text(),
          heartbeatMilliseconds: 1 + UInt32(count(3_600_000)), incarnation: random.next())),
      .refused(Refused(reason: text())),
      .policyAnnounced(PolicyAnnounced(version: version(), weightsEndpoint: text())),
      .lease(lease()),
      .resultAcknowledged(LeaseID(random.next())),
      .trainBatch(TrainBatch(step: small(), cursor: total(), groups: list(count(3)) { $0.group() })),
      .evaluated(Evaluated(version: version(), step: small(), accuracy: random.uniform())),
      .statusReport(status()),
      .manifestRequest(part()),
      .manifest(manifest()),
      .chunkRequest(
        ChunkRequest(
          part: part(), version: version(), first: small(), count: 1 + UInt32(count(32)), base: maybeVersion())),
      .chunk(
        WeightsChunk(
          part: part(), version: version(), index: small(),
          encoding: WeightsChunk.Encoding(rawValue: 1 + UInt32(count(3)))!,
          base: maybeVersion(), bytes: list(count(40)) { UInt8($0.below(256)) })),
    ]
  }
}
