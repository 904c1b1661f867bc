import Wire

/// Which policy version the worker holds, and which is on its way: announced, then fetched, then loaded.
///
/// Invariants: the held version only grows; a version is loaded only when no sample of the held one is being decoded, so
/// that no sample is a mix of two versions (`RolloutState` asks for the load at such a moment only).
package struct PolicyFence: Equatable, Sendable {
  package init() {}

  /// In the decoder; nil before the first.
  private(set) package var held: PolicyVersion?
  /// Being fetched.
  private(set) package var target: PolicyAnnounced?
  /// Fetched and verified, not yet in the decoder.
  private(set) package var staged: PolicyVersion?
  /// On its way into the decoder.
  private(set) package var loading: PolicyVersion?

  /// Takes an announcement, perhaps a repeated or late one.
  /// - Returns: whether it has to be fetched: it is newer than all that the worker has, or the version being fetched is
  ///   now served elsewhere.
  package mutating func announce(_ announced: PolicyAnnounced) -> Bool {
    guard announced != target else { return false }
    if let target {
      guard announced.version >= target.version else { return false }
    } else if let newest = [held, staged, loading].compactMap({ $0 }).max() {
      guard announced.version > newest else { return false }
    }
    target = announced
    return true
  }

  /// Takes a version whose bytes are complete and verified. The learner may serve a newer one than was announced.
  package mutating func fetched(_ version: PolicyVersion) {
    if let target, target.version <= version { self.target = nil }
    if let newest = [held, staged, loading].compactMap({ $0 }).max(), version <= newest { return }
    staged = version
  }

  /// The version to load now, if one is staged and none is being loaded.
  package mutating func takeStaged() -> PolicyVersion? {
    guard loading == nil, let version = staged else { return nil }
    (loading, staged) = (version, nil)
    return version
  }

  /// The decoder has the version.
  package mutating func loaded(_ version: PolicyVersion) {
    precondition(held.map { $0 < version } ?? true, "loaded \(version) over \(held?.description ?? "nothing")")
    (held, loading) = (version, nil)
  }

  /// Whether work for this version can start soon: it is the next that the decoder gets, as far as is known.
  package func expects(_ version: PolicyVersion) -> Bool {
    target?.version == version || staged == version || loading == version
  }
}
