import CKernels
import Glibc
import Tensor

extension Precision {
  /// The kernels' name of the precision.
  package var kind: fv_kind { self == .bfloat16 ? fv_bf16 : fv_f32 }
  /// Bytes of one element of packed weights, product inputs and the key-value cache.
  package var elementByteCount: Int { self == .bfloat16 ? 2 : 4 }
  /// Elements of one packed word, the 32 bits that a reduction takes at once.
  package var elementsPerWord: Int { self == .bfloat16 ? 2 : 1 }
  /// Packed words of a reduction over `depth` elements; an odd last element is paired with zero.
  package func wordCount(_ depth: Int) -> Int { (depth + elementsPerWord - 1) / elementsPerWord }
}

/// Elements of a precision (bf16 or fp32): product inputs and saved activations. 64-byte aligned, zeroed.
package final class ElementBuffer: Sendable {
  package let precision: Precision
  private let bytes: AlignedBuffer<UInt8>
  /// The number of elements.
  package var count: Int { bytes.count / precision.elementByteCount }

  package init(_ precision: Precision, count: Int) {
    self.precision = precision
    // kernels load whole vectors of 16 at ragged ends of rows only through partial loads; no padding is needed
    bytes = AlignedBuffer(count: count * precision.elementByteCount)
  }

  /// The address of element `index`.
  package func at(_ index: Int) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(bytes.pointer) + index * precision.elementByteCount
  }

  /// The address of element `index` as packed words of a reduction.
  package func words(at index: Int) -> UnsafeMutablePointer<UInt32> {
    at(index).assumingMemoryBound(to: UInt32.self)
  }
}

/// Memory that grows to the largest size asked for and is used again: the scratch space of one owner.
///
/// What it holds is lost at each `reserve` that grows it.
package struct ScratchBuffer<Element: BitwiseCopyable>: ~Copyable {
  private var buffer = AlignedBuffer<Element>(count: 0)

  package init() {}

  /// At least `count` elements, of unspecified content.
  package mutating func reserve(_ count: Int) -> UnsafeMutablePointer<Element> {
    if buffer.count < count { buffer = AlignedBuffer(count: count + count / 4) }
    return buffer.pointer
  }
}

/// `ScratchBuffer` for elements of a precision.
package struct ElementScratch: ~Copyable {
  package let precision: Precision
  private var buffer: ElementBuffer

  package init(_ precision: Precision) {
    self.precision = precision
    buffer = ElementBuffer(precision, count: 0)
  }

  /// At least `count` elements, of unspecified content.
  package mutating func reserve(_ count: Int) -> ElementBuffer {
    if buffer.count < count { buffer = ElementBuffer(precision, count: count + count / 4) }
    return buffer
  }
}
