/// Counts of the faults that the coordinator has handled since the run began. Lateness, staleness and duplicates are
/// values, not errors: they are only counted.
public struct FarmCounters: Equatable, Sendable {
  /// Results of a lease that already had one.
  public var duplicates: UInt64 = 0
  /// Results for a step or evaluation that is closed.
  public var late: UInt64 = 0
  /// Messages that make no sense here: an unknown lease, an unknown sender, a message of another role.
  public var foreign: UInt64 = 0
  /// Results from a version older than `maxStaleness` allows. Their work is done again.
  public var stale: UInt64 = 0
  /// Results from a version that the coordinator never announced. Their work is done again.
  public var unknownVersion: UInt64 = 0
  /// Frames that could not be decoded, and results that contradict their lease. Their work is done again.
  public var malformed: UInt64 = 0
  /// Repeated messages that were expected: hello, stepCompleted.
  public var repeats: UInt64 = 0
  /// Leases that went back to the queue, for whatever cause.
  public var requeued: UInt64 = 0
  /// Attempts whose deadline passed.
  public var expired: UInt64 = 0
  /// Leases and batches sent again because they seem to have got lost on the way.
  public var resent: UInt64 = 0
  public var workersLost: UInt64 = 0
  /// Prompts that failed `attemptsMax` attempts.
  public var quarantined: UInt64 = 0
  /// Groups without variance that dynamic sampling replaced.
  public var replaced: UInt64 = 0
  /// Groups that took too long and were granted to a second worker as well.
  public var hedged: UInt64 = 0
  /// Groups that took too long and whose worker was asked for a partial group.
  public var partialGroups: UInt64 = 0
  /// Peers that were refused.
  public var refused: UInt64 = 0

  public init() {}

  /// Every counter by the name that the journal keeps it under.
  static let named: [(name: String, path: any WritableKeyPath<FarmCounters, UInt64> & Sendable)] = [
    ("duplicates", \.duplicates), ("late", \.late), ("foreign", \.foreign), ("stale", \.stale),
    ("unknown_version", \.unknownVersion), ("malformed", \.malformed), ("repeats", \.repeats),
    ("requeued", \.requeued), ("expired", \.expired), ("resent", \.resent), ("workers_lost", \.workersLost),
    ("quarantined", \.quarantined), ("replaced", \.replaced), ("hedged", \.hedged),
    ("partial_groups", \.partialGroups), ("refused", \.refused),
  ]
}

extension FarmCounters {
  /// What the rows of a step carry; docs/METRICS.md lists the names.
  var metrics: [String: Double] {
    [
      "requeued": Double(requeued), "duplicates": Double(duplicates), "malformed": Double(malformed),
      "late": Double(late), "stale": Double(stale + unknownVersion), "workers_lost": Double(workersLost),
      "quarantined": Double(quarantined), "hedged": Double(hedged), "partial_groups": Double(partialGroups),
    ]
  }
}
