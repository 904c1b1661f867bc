import Glibc
import Support

/// The clock of ticks. It never jumps; its zero means nothing.
public enum MonotonicClock {
  public static func now() -> Milliseconds {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Milliseconds(time.tv_sec) * 1000 + Milliseconds(time.tv_nsec) / 1_000_000
  }
}
