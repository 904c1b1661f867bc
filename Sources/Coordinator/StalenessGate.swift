import Wire

/// Which policy versions a step may be sampled from.
///
/// A version belongs to the number of steps trained before it. Step t may use the versions of steps t - maxStaleness to
/// t: with 0 exactly one, which is synchronous; with k > 0 groups of later steps are sampled while the learner trains.
/// Invariant: versions strictly increase with the step. The newest never goes back, whatever the learner does.
package struct StalenessGate: Equatable, Sendable {
  package enum Verdict: Equatable, Sendable {
    /// The version may be used; `staleness` is the number of steps that it is behind.
    case admitted(staleness: Int)
    case stale
    /// The version was never announced, or is newer than the step.
    case unknown
  }

  package let maxStaleness: Int
  /// The step of `versions[0]`.
  private var firstStep: UInt32 = 0
  private var versions: [PolicyVersion] = []

  package init(maxStaleness: Int) {
    precondition(maxStaleness >= 0, "maxStaleness \(maxStaleness)")
    self.maxStaleness = maxStaleness
  }

  package var newest: PolicyVersion? { versions.last }

  /// Takes the version behind `step` steps as the first that this coordinator knows.
  package mutating func begin(at step: UInt32, version: PolicyVersion) {
    precondition(versions.isEmpty, "the gate has begun")
    firstStep = step
    versions = [version]
  }

  /// Admits the next version. False, and nothing changes, when it is not newer than the newest.
  package mutating func publish(_ version: PolicyVersion) -> Bool {
    guard let newest = versions.last, version > newest else { return false }
    versions.append(version)
    return true
  }

  /// The version behind `step` steps, if it was ever known.
  package func version(after step: UInt32) -> PolicyVersion? {
    guard step >= firstStep, step - firstStep < UInt32(versions.count) else { return nil }
    return versions[Int(step - firstStep)]
  }

  /// The oldest version that `step` may be sampled from; nil while that is not trained yet.
  package func oldestAllowed(for step: UInt32) -> PolicyVersion? {
    version(after: max(firstStep, step - min(step, UInt32(clamping: maxStaleness))))
  }

  /// Whether `step` may be sampled from `version`.
  package func judge(_ version: PolicyVersion, for step: UInt32) -> Verdict {
    guard let index = index(of: version) else { return .unknown }
    let trained = firstStep + UInt32(index)
    guard trained <= step else { return .unknown }
    let staleness = Int(step - trained)
    return staleness <= maxStaleness ? .admitted(staleness: staleness) : .stale
  }

  /// Binary search: versions increase.
  private func index(of version: PolicyVersion) -> Int? {
    var low = 0
    var high = versions.count
    while low < high {
      let middle = (low + high) / 2
      if versions[middle] < version { low = middle + 1 } else { high = middle }
    }
    return low < versions.count && versions[low] == version ? low : nil
  }
}
