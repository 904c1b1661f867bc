/// Makes any bytes valid UTF-8, in pieces as they come.
///
/// Each maximal part of a sequence that cannot be completed becomes one U+FFFD, as in the WHATWG encoding standard, in
/// Python's `bytes.decode("utf-8", "replace")` and in Rust's `from_utf8_lossy`.
///
/// Invariants: what comes out is valid UTF-8 after every `push`; the concatenation of what comes out does not depend on
/// how the bytes were cut; at most three bytes are held back, and only while they are the start of a valid sequence.
package struct LossyUTF8: Sendable {
  /// The start of a sequence that further bytes can complete.
  private var pending: [UInt8] = []
  private var missing = 0
  /// What the next byte may be; narrower than 80...BF after E0, ED, F0 and F4.
  private var allowed: ClosedRange<UInt8> = 0x80...0xBF

  package init() {}

  /// Appends to `output` what the bytes so far determine.
  package mutating func push(_ bytes: some Sequence<UInt8>, into output: inout [UInt8]) {
    for byte in bytes { push(byte, into: &output) }
  }

  /// Appends U+FFFD when the bytes end inside a sequence.
  package mutating func finish(into output: inout [UInt8]) {
    if missing > 0 { replacePending(in: &output) }
  }

  private mutating func push(_ byte: UInt8, into output: inout [UInt8]) {
    if missing > 0 {
      if allowed.contains(byte) {
        pending.append(byte)
        missing -= 1
        allowed = 0x80...0xBF
        if missing == 0 {
          output += pending
          pending.removeAll(keepingCapacity: true)
        }
        return
      }
      // The byte itself may start a sequence of its own.
      replacePending(in: &output)
    }
    switch byte {
    case 0x00...0x7F: output.append(byte)
    case 0xC2...0xDF: begin(byte, missing: 1, allowed: 0x80...0xBF)
    case 0xE0: begin(byte, missing: 2, allowed: 0xA0...0xBF)
    case 0xED: begin(byte, missing: 2, allowed: 0x80...0x9F)
    case 0xE1...0xEF: begin(byte, missing: 2, allowed: 0x80...0xBF)
    case 0xF0: begin(byte, missing: 3, allowed: 0x90...0xBF)
    case 0xF1...0xF3: begin(byte, missing: 3, allowed: 0x80...0xBF)
    case 0xF4: begin(byte, missing: 3, allowed: 0x80...0x8F)
    default: output += Self.replacement
    }
  }

  private mutating func begin(_ byte: UInt8, missing: Int, allowed: ClosedRange<UInt8>) {
    pending.append(byte)
    self.missing = missing
    self.allowed = allowed
  }

  private mutating func replacePending(in output: inout [UInt8]) {
    output += Self.replacement
    pending.removeAll(keepingCapacity: true)
    missing = 0
    allowed = 0x80...0xBF
  }

  /// U+FFFD
  private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

  /// `bytes` with every broken sequence replaced.
  package static func repaired(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    var decoder = LossyUTF8()
    var output: [UInt8] = []
    output.reserveCapacity(bytes.underestimatedCount)
    decoder.push(bytes, into: &output)
    decoder.finish(into: &output)
    return output
  }
}
