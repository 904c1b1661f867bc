/// A point or a span of monotonic time. State machines are told the time; they never read a clock.
public typealias Milliseconds = Int64
