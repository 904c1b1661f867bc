import CKernels
import Layers
import Support
import Synchronization
import Testing

/// Random inputs and comparisons for the kernel tests.
struct KernelInputs {
  var random: RandomStream

  init(_ seed: UInt64, _ a: Int = 0, _ b: Int = 0) {
    random = RandomStream(seed: seed, purpose: .test, UInt32(a), UInt32(b))
  }

  /// Roughly normal, scaled.
  mutating func floats(_ count: Int, scale: Float = 1) -> [Float] {
    (0..<count).map { _ in (random.uniform() + random.uniform() + random.uniform() - 1.5) * 2 * scale }
  }

  /// Like `floats`, with denormals, zeros of both signs, infinities and NaN among them.
  mutating func wildFloats(_ count: Int) -> [Float] {
    let wild: [Float] = [
      0, -0.0, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, Float(bitPattern: 0x8001_16C2),
      .leastNormalMagnitude,
      .greatestFiniteMagnitude, -3e38, 1e-30,
    ]
    return floats(count).map { value in
      random.integer(below: 12) == 0 ? wild[Int(random.integer(below: UInt64(wild.count)))] : value
    }
  }
}

/// One bf16, rounded to nearest even; the tests' own, so that the kernels' rounding has an independent twin.
func bfloat16(_ x: Float) -> UInt16 {
  if x.isNaN { return 0x7FC0 }
  let bits = x.bitPattern
  let low = bits & 0xFFFF
  var high = UInt16(bits >> 16)
  if low > 0x8000 || (low == 0x8000 && high & 1 == 1) { high += 1 }
  return high
}

func widened(_ x: UInt16) -> Float { Float(bitPattern: UInt32(x) << 16) }

/// Equal as bits, any NaN equal to any other.
func sameBits(_ a: [Float], _ b: [Float]) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern || ($0.isNaN && $1.isNaN) }
}

/// Every instruction set that this machine has beside the portable twin.
let fastInstructionSets = InstructionSet.allCases.filter { $0 != .portable && $0.isSupported }

/// The instruction set is the process's: a test that changes it holds this, or two suites would compare under each
/// other's choice.
private let instructionSetLock = Mutex(())

/// Runs `body` under each instruction set, the portable twin first, and restores the one before. Not reentrant.
func underEveryInstructionSet(_ body: (InstructionSet) throws -> Void) rethrows {
  try instructionSetLock.withLock { _ in
    let before = InstructionSet.active
    defer { before.force() }
    for set in [.portable] + fastInstructionSets {
      set.force()
      try body(set)
    }
  }
}

/// Runs a kernel under every instruction set, denormals flushed as the pool does it, and expects the portable twin's
/// bits.
func expectTwins(_ what: String, _ kernel: () -> [Float]) {
  var portable: [Float] = []
  underEveryInstructionSet { set in
    var result: [Float] = []
    onePool.run(1) { _ in result = kernel() }
    if set == .portable { portable = result } else { #expect(sameBits(result, portable), "\(what) on \(set)") }
  }
}

let onePool = ThreadPool(threads: 1)

/// Largest |a - b| over the largest |b|.
func relativeError(_ a: [Float], _ b: [Float]) -> Double {
  let scale = b.map { Double(abs($0)) }.max() ?? 0
  let difference = zip(a, b).map { abs(Double($0) - Double($1)) }.max() ?? 0
  return difference / max(scale, 1e-30)
}
