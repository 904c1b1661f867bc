import Support
import Wire

/// The policy as this worker has it: the version in its engine, and the next one on its way there.
///
/// A version is announced, fetched, staged, loaded, and then held. Where versions are adapters, their base model goes
/// the same way before the first one.
///
/// Invariants:
/// - The held version only grows. `WeightsFetcher` finishes versions in ascending order, one at a time, and begins the
///   next one only after `loaded`.
/// - Nothing is loaded while samples are decoded, so that no sample mixes two versions: `takeStaged` is called only
///   when nothing is being decoded, and nothing begins between it and `loaded`.
package struct PolicyReplica: Sendable {
  /// The state of the weights that the fetcher has finished.
  private enum Next {
    case none
    /// Complete and verified, not yet in the engine.
    case staged(FetchedWeights)
    /// On their way into the engine.
    case loading(WeightsManifest)
  }

  /// In the engine; nil before the first.
  private(set) package var held: PolicyVersion?
  /// Announced, and not fetched yet.
  private(set) package var target: PolicyAnnounced?
  private var next = Next.none
  private var fetcher = WeightsFetcher()

  package init() {}

  /// A description of the version that the engine is loading; nil when it loads none.
  package var loading: String? {
    guard case .loading(let manifest) = next else { return nil }
    return manifest.part == .baseModel ? "the base model" : manifest.version.description
  }

  /// Whether work for this version can start soon: it is the next that the engine gets, as far as is known.
  package func expects(_ version: PolicyVersion) -> Bool { target?.version == version || nextVersion == version }

  /// Takes an announcement, perhaps a repeated or late one, and fetches the version unless the worker has it or a newer
  /// one.
  package mutating func announce(_ announced: PolicyAnnounced, now: Milliseconds) -> [RolloutState.Effect] {
    if let target {
      guard announced != target, announced.version >= target.version else { return [] }
    } else if let newest = nextVersion ?? held {
      guard announced.version > newest else { return [] }
    }
    target = announced
    return [.connectToLearner(announced.weightsEndpoint)] + fetch(.announced(announced.version), now)
  }

  /// Takes a message of the learner.
  package mutating func received(_ message: Message, now: Milliseconds) -> [RolloutState.Effect] {
    fetch(.received(message), now)
  }

  /// Asks again for what does not come.
  package mutating func tick(now: Milliseconds) -> [RolloutState.Effect] { fetch(.tick, now) }

  /// The weights to load now, if any are staged. Nothing is being decoded.
  package mutating func takeStaged() -> FetchedWeights? {
    guard case .staged(let weights) = next else { return nil }
    next = .loading(weights.manifest)
    return weights
  }

  /// The engine holds what `takeStaged` gave, and it can be read back from there.
  package mutating func loaded(_ weights: any HeldWeights, now: Milliseconds) -> [RolloutState.Effect] {
    let manifest = weights.manifest
    guard case .loading(let expected) = next, expected == manifest else {
      preconditionFailure("\(manifest.version) is loaded, but nobody asked for it")
    }
    next = .none
    if manifest.part == .policy {
      precondition(held.map { $0 < manifest.version } ?? true, "loaded \(manifest.version) over \(held!)")
      held = manifest.version
    }
    return fetch(.loaded(weights), now)
  }

  /// The newest version that is fetched and not held yet.
  private var nextVersion: PolicyVersion? {
    switch next {
    case .staged(let weights) where weights.manifest.part == .policy: weights.manifest.version
    case .loading(let manifest) where manifest.part == .policy: manifest.version
    case .none, .staged, .loading: nil
    }
  }

  private mutating func fetch(_ event: WeightsFetcher.Event, _ now: Milliseconds) -> [RolloutState.Effect] {
    fetcher.on(event, now: now).flatMap { effect -> [RolloutState.Effect] in
      switch effect {
      case .send(let message): return [.sendToLearner(message)]
      case .rejected(let reason): return [.log("weights: \(reason)")]
      case .finished(let weights):
        next = .staged(weights)
        // The learner may serve a newer version than was announced.
        let version = weights.manifest.version
        if weights.manifest.part == .policy, let target, target.version <= version { self.target = nil }
        return []
      }
    }
  }
}
