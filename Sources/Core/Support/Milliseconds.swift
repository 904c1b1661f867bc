/// A point or a span of monotonic time. State machines take the time as a parameter; they never read a clock.
public typealias Milliseconds = Int64
