import Support

/// Tokens per second over the last heartbeats.
struct TokenRate: Sendable {
  /// Since the worker's start.
  var tokensTotal: UInt64 = 0
  private var notes: [(time: Milliseconds, tokens: UInt64)] = []
  private static let window = 8

  /// Remembers the count at a heartbeat.
  mutating func note(now: Milliseconds) {
    notes.append((now, tokensTotal))
    if notes.count > Self.window { notes.removeFirst() }
  }

  var tokensPerSecond: Float {
    guard let first = notes.first, let last = notes.last, last.time > first.time, last.tokens >= first.tokens else {
      return 0
    }
    return Float(Double(last.tokens - first.tokens) * 1_000 / Double(last.time - first.time))
  }
}
