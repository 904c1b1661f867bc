import Support

/// How long groups take, and which one takes too long.
///
/// A group is a straggler when its worker has had it for `after` times the median of the newest groups of its purpose.
/// The first few groups say nothing yet. `farm.stragglers` decides what happens to a straggler:
///
/// - `wait`: nothing; only the lease's deadline ends it.
/// - `hedge`: an idle worker that holds the same version gets a copy. The first result counts, and as samples depend on
///   their random key alone, both would be the same bits: the policy costs idle time and changes nothing.
/// - `partial`: its worker is asked for a partial group: the samples that are finished, at least `partial_group_min` of
///   them. The group's baseline is then their mean. Faster, but which samples finish depends on timing: the run is not
///   repeatable.
package struct StragglerWatch: Sendable {
  private static let spanCountMin = 3
  private static let spanCountMax = 63

  private let after: Double
  private var spans: [LeasePurpose: [Milliseconds]] = [:]

  package init(after: Double) { self.after = after }

  /// A group came `span` after its lease was granted.
  package mutating func note(_ span: Milliseconds, _ purpose: LeasePurpose) {
    var newest = spans[purpose] ?? []
    if newest.count == Self.spanCountMax { newest.removeFirst() }
    spans[purpose] = newest + [span]
  }

  /// How long a group may take; nil while too little is known.
  package func spanMax(_ purpose: LeasePurpose) -> Milliseconds? {
    guard let spans = spans[purpose], spans.count >= Self.spanCountMin else { return nil }
    let median = spans.sorted()[spans.count / 2]
    return Milliseconds((Double(median) * after).rounded(.up))
  }
}
