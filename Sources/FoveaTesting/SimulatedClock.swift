import Support

/// The time of a simulation. It moves only when the simulation moves it, and never back.
public struct SimulatedClock: Equatable, Sendable {
  public private(set) var now: Milliseconds

  public init(now: Milliseconds = 0) { self.now = now }

  public mutating func advance(to time: Milliseconds) {
    precondition(time >= now, "time goes from \(now) back to \(time)")
    now = time
  }
}
