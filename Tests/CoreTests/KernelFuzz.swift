import CKernels
import Foundation
import Layers
import Support
import Tensor
import Testing

/// Random inputs of one fuzz case: sizes from 1 to 130 and arrays of every temper, from harmless to raw bits.
struct FuzzInputs {
  var random: RandomStream

  mutating func below(_ bound: Int) -> Int { Int(random.integer(below: UInt64(bound))) }
  mutating func size(_ most: Int = 130) -> Int { 1 + below(most) }
  mutating func evenSize(_ most: Int = 130) -> Int { 2 * size(most / 2) }
  mutating func flag() -> Bool { below(2) == 1 }
  mutating func precision() -> Precision { flag() ? .bfloat16 : .float32 }
  /// -1 to 1
  mutating func plain() -> Float { 2 * random.uniform() - 1 }

  private enum Temper: Int, CaseIterable {
    case plain, rarelySpecial, oftenSpecial, tiny, huge, bits
  }

  private static let special: [Float] = [
    0, -0.0, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, Float(bitPattern: 0x8001_16C2), .leastNormalMagnitude,
    -.leastNormalMagnitude, .greatestFiniteMagnitude, -3e38, 1e-30, 88, -87.5,
  ]

  /// Values of one temper, so that reductions over them do not all end in NaN.
  mutating func floats(_ count: Int) -> [Float] {
    let temper = Temper(rawValue: below(Temper.allCases.count))!
    return (0..<count).map { _ in
      switch temper {
      case .plain: 4 * plain()
      case .rarelySpecial: below(300) == 0 ? Self.special[below(Self.special.count)] : 4 * plain()
      case .oftenSpecial: flag() ? Self.special[below(Self.special.count)] : 4 * plain()
      case .tiny: plain() * 3e-38
      case .huge: plain() * 3e38
      case .bits: Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
      }
    }
  }

  /// `count` elements of the precision as bytes: product inputs, saved activations.
  mutating func elements(_ precision: Precision, _ count: Int) -> [UInt8] {
    let values = floats(count)
    switch precision {
    case .float32: return values.withUnsafeBytes { Array($0) }
    case .bfloat16: return values.map { UInt16($0.bitPattern >> 16) }.withUnsafeBytes { Array($0) }
    }
  }

  /// `count` units of a reduction.
  mutating func units(_ precision: Precision, _ count: Int) -> [UInt32] {
    elements(precision, count * precision.elementsPerWord).withUnsafeBytes { Array($0.bindMemory(to: UInt32.self)) }
  }
}

/// One run of a case under one instruction set: the memory that the kernel writes, between guards that it must leave
/// alone.
final class FuzzRun {
  /// Whether this run is the portable twin's.
  let isTwin: Bool
  private enum Content { case bytes, floats, doubles, scratch }
  private static let guardByteCount = 128
  private static let pattern: UInt8 = 0xA5
  private var outputs: [(memory: AlignedBuffer<UInt8>, byteCount: Int, content: Content)] = []

  init(isTwin: Bool) { self.isTwin = isTwin }

  /// Results in fp32 that start as `values`.
  func floats(_ values: [Float]) -> UnsafeMutablePointer<Float> {
    let pointer = reserve(values.count * 4, .floats).bindMemory(to: Float.self, capacity: values.count)
    pointer.update(from: values, count: values.count)
    return pointer
  }

  /// Results in fp32 that start as a pattern.
  func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
    reserve(count * 4, .floats).bindMemory(to: Float.self, capacity: count)
  }

  /// Results of the precision: fp32, or bf16, whose NaN is always the same one.
  func elements(_ precision: Precision, _ count: Int) -> UnsafeMutableRawPointer {
    reserve(count * precision.elementByteCount, precision == .float32 ? .floats : .bytes)
  }

  /// Results that are copies of bits: every byte counts, in NaN too.
  func units(_ count: Int, zeroed: Bool = false) -> UnsafeMutablePointer<UInt32> {
    let pointer = reserve(count * 4, .bytes)
    if zeroed { pointer.initializeMemory(as: UInt8.self, repeating: 0, count: count * 4) }
    return pointer.bindMemory(to: UInt32.self, capacity: count)
  }

  /// Memory whose content means nothing before (it is NaN) and after.
  func scratch(_ count: Int) -> UnsafeMutablePointer<Float> {
    let pointer = reserve(count * 4, .scratch)
    pointer.initializeMemory(as: UInt8.self, repeating: 0xFF, count: count * 4)
    return pointer.bindMemory(to: Float.self, capacity: count)
  }

  func note(_ values: Float...) { _ = floats(values) }
  func note(_ value: Double) { reserve(8, .doubles).storeBytes(of: value, as: Double.self) }

  private func reserve(_ byteCount: Int, _ content: Content) -> UnsafeMutableRawPointer {
    let memory = AlignedBuffer<UInt8>(count: byteCount + 2 * Self.guardByteCount)
    memory.pointer.update(repeating: Self.pattern, count: memory.count)
    outputs.append((memory, byteCount, content))
    return UnsafeMutableRawPointer(memory.pointer + Self.guardByteCount)
  }

  var guardsHold: Bool {
    outputs.allSatisfy { memory, byteCount, _ in
      let end = Self.guardByteCount + byteCount
      return memory.elements[..<Self.guardByteCount].allSatisfy { $0 == Self.pattern }
        && memory.elements[end...].allSatisfy { $0 == Self.pattern }
    }
  }

  /// All results as bytes. fp32 and fp64 NaN become one NaN: which operand's payload and sign an addition of two NaN
  /// keeps depends on the order that the compiler gives them, and the quiet NaN that 0 x infinity makes has another
  /// sign on Arm.
  var results: [UInt8] {
    outputs.flatMap { memory, byteCount, content -> [UInt8] in
      let bytes = UnsafeRawBufferPointer(start: memory.pointer + Self.guardByteCount, count: byteCount)
      switch content {
      case .scratch: return []
      case .bytes: return Array(bytes)
      case .floats: return bytes.bindMemory(to: Float.self).map { $0.isNaN ? .nan : $0 }.withUnsafeBytes { Array($0) }
      case .doubles: return bytes.bindMemory(to: Double.self).map { $0.isNaN ? .nan : $0 }.withUnsafeBytes { Array($0) }
      }
    }
  }
}

/// Draws cases and runs each under every instruction set: equal bytes, guards untouched. Stops at the first that fails
/// and names it; the same case comes again, since it depends on the kernel's name and its number only.
/// FOVEA_FUZZ_FACTOR=100 draws a hundred times as many.
func fuzz(_ kernel: String, cases: Int, _ makeCase: (inout FuzzInputs) -> (FuzzRun) -> Void) {
  let factor = ProcessInfo.processInfo.environment["FOVEA_FUZZ_FACTOR"].flatMap { Int($0) } ?? 1
  let stream = kernel.utf8.reduce(UInt32(7)) { $0 &* 31 &+ UInt32($1) }
  for number in 0..<cases * factor {
    var inputs = FuzzInputs(random: RandomStream(seed: 31, purpose: .test, stream, UInt32(number)))
    let body = makeCase(&inputs)
    var expected: [UInt8] = []
    var failure: String?
    underEveryInstructionSet { set in
      let run = FuzzRun(isTwin: set == .portable)
      onePool.run(1) { _ in body(run) }
      if run.isTwin { expected = run.results }
      let found = run.results
      if found != expected {
        let byte = zip(found, expected).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
        failure = failure ?? "\(set) differs from its twin at byte \(byte)"
      }
      if !run.guardsHold { failure = failure ?? "\(set) wrote outside of its results" }
    }
    if let failure {
      Issue.record("\(kernel), case \(number): \(failure)")
      return
    }
  }
}
