import CKernels
import Foundation
import Layers
import Tensor

/// The measured peak rates of this machine: the denominators of all shares in a benchmark's table.
public struct HardwarePeak: Sendable {
  /// Products of the precision on all threads together, in 10^9 operations a second.
  public let gigaflops: Double
  /// Products of 8-bit integers on all threads together, in 10^9 operations a second.
  public let int8Gigaops: Double
  /// Reading memory on all threads together, in 10^9 bytes a second.
  public let gigabytesPerSecond: Double

  /// The peak that an arithmetic's products are compared with.
  public func gigaflops(_ arithmetic: RolloutPrecision) -> Double {
    arithmetic == .exact ? gigaflops : int8Gigaops
  }

  /// Measures for about a second.
  public init(precision: Precision, pool: ThreadPool) {
    let rounds: Int64 = 4_000_000
    let kind = precision.kind
    gigaflops = Self.best { start in
      pool.run(pool.threadCount) { _ in _ = fv_peak(kind, rounds) }
      return fv_peak(kind, 1) * Double(rounds) * Double(pool.threadCount) / start.seconds / 1e9
    }
    int8Gigaops = Self.best { start in
      pool.run(pool.threadCount) { _ in _ = fv_int8_peak(rounds) }
      return fv_int8_peak(1) * Double(rounds) * Double(pool.threadCount) / start.seconds / 1e9
    }
    let buffer = AlignedBuffer<Float>(count: 64 << 20)
    gigabytesPerSecond = Self.best { start in
      let chunk = buffer.count / (8 * pool.threadCount)
      let sums = AlignedBuffer<Double>(count: 8 * pool.threadCount)
      pool.run(8 * pool.threadCount) { index in
        sums.pointer[index] = Double(Self.sum(buffer.pointer + index * chunk, chunk))
      }
      precondition(sums.pointer[0] == 0)
      return Double(buffer.count * 4) / start.seconds / 1e9
    }
  }

  private static func best(_ measure: (Stopwatch) -> Double) -> Double {
    (0..<5).map { _ in measure(Stopwatch()) }.max()!
  }

  /// Reads every line once.
  private static func sum(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
    var lanes = SIMD16<Float>()
    let vectors = UnsafeRawPointer(x).assumingMemoryBound(to: SIMD16<Float>.self)
    for index in 0..<count / 16 { lanes += vectors[index] }
    return lanes.sum()
  }
}

/// Monotonic time since its making.
public struct Stopwatch: Sendable {
  private let start = Stopwatch.now()
  public init() {}

  public var seconds: Double { Self.now() - start }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }
}
