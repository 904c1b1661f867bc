import CPCRE2
import Support

/// A regular expression of a pre-tokenizer, compiled by PCRE2 with its JIT.
///
/// Tokenizer files are written for Oniguruma. The one difference that their patterns meet is `\s`: PCRE2 counts U+180E
/// among white space, Unicode no longer does. So `\s` and `\S` are spelt out before compiling.
///
/// Classes of characters are those of the installed PCRE2's Unicode (14 in PCRE2 10.42): characters that came later
/// count as unassigned, where Oniguruma may know them as letters.
///
/// Patterns come from outside: their length, their nesting, and the steps of one match are bounded, so that none hangs.
// Unchecked because of the pointer alone: PCRE2 never writes to compiled code after `init`, and several threads may
// match with it at once, each with its own `Matcher`.
package final class SplitPattern: @unchecked Sendable {
  /// The longest pattern, in bytes; the longest one in use has about a thousand.
  package static let lengthMax = 1 << 14

  fileprivate let code: OpaquePointer
  fileprivate let hasJIT: Bool

  /// - Throws: `InputError` with PCRE2's words and the offset in the pattern.
  package init(_ pattern: String, place: String) throws {
    let text = Array(Self.spellingOutWhiteSpace(pattern).utf8)
    guard text.count <= Self.lengthMax else {
      throw InputError(
        "compile pattern", at: place, expected: "at most \(Self.lengthMax) bytes", found: "\(text.count)")
    }
    var code: Int32 = 0
    var offset = 0
    let options = PCRE2_UTF | PCRE2_UCP | UInt32(PCRE2_NEVER_BACKSLASH_C)
    guard let compiled = pcre2_compile_8(text, text.count, options, &code, &offset, nil) else {
      throw InputError(
        "compile pattern", at: place, expected: "a regular expression",
        found: "\(Self.message(code)) at offset \(offset) of \(pattern.debugDescription)")
    }
    self.code = compiled
    // Without JIT on a machine the interpreter gives the same matches.
    hasJIT = pcre2_jit_compile_8(compiled, PCRE2_JIT_COMPLETE) == 0
  }

  deinit { pcre2_code_free_8(code) }

  private static func message(_ code: Int32) -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    let length = pcre2_get_error_message_8(code, &buffer, buffer.count)
    return length > 0 ? String(decoding: buffer[..<Int(length)], as: UTF8.self) : "error \(code)"
  }

  /// Replaces `\s` and, outside classes, `\S` by the characters of Unicode's White_Space.
  private static func spellingOutWhiteSpace(_ pattern: String) -> String {
    let space = #"\t-\r\x{85}\p{Z}"#
    var result = ""
    var inClass = false
    var escaped = false
    for scalar in pattern.unicodeScalars {
      if escaped {
        escaped = false
        switch scalar {
        case "s": result += inClass ? space : "[\(space)]"
        case "S" where !inClass: result += "[^\(space)]"
        default: result += "\\\(scalar)"
        }
        continue
      }
      switch scalar {
      case "\\": escaped = true
      case "[":
        inClass = true
        result.unicodeScalars.append(scalar)
      case "]":
        inClass = false
        result.unicodeScalars.append(scalar)
      default: result.unicodeScalars.append(scalar)
      }
    }
    return escaped ? result + "\\" : result
  }
}

/// What one thread needs to match: PCRE2's room for results and the JIT's stack.
// Unchecked because it holds only pointers that it owns; `match` writes through them, so one call at a time may use it,
// which `EncoderPool` ensures.
package final class Matcher: @unchecked Sendable {
  private let data: OpaquePointer
  private let context: OpaquePointer
  private let stack: OpaquePointer

  package init() {
    guard let data = pcre2_match_data_create_8(1, nil), let context = pcre2_match_context_create_8(nil),
      let stack = pcre2_jit_stack_create_8(1 << 15, 1 << 20, nil)
    else { preconditionFailure("out of memory") }
    self.data = data
    self.context = context
    self.stack = stack
    pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack))
    pcre2_set_match_limit_8(context, 10_000_000)
  }

  deinit {
    pcre2_match_data_free_8(data)
    pcre2_match_context_free_8(context)
    pcre2_jit_stack_free_8(stack)
  }

  /// The first match that is not empty and starts at `start` or later; nil when there is none, and when the pattern
  /// used up its steps.
  ///
  /// - Parameter subject: valid UTF-8; nothing outside it is looked at.
  @inline(__always)
  package func match(
    _ pattern: SplitPattern, in subject: UnsafeBufferPointer<UInt8>, from start: Int
  ) -> Range<Int>? {
    let found =
      if pattern.hasJIT {
        pcre2_jit_match_8(
          pattern.code, subject.baseAddress, subject.count, start, UInt32(PCRE2_NOTEMPTY), data, context)
      } else {
        pcre2_match_8(
          pattern.code, subject.baseAddress, subject.count, start, PCRE2_NO_UTF_CHECK | UInt32(PCRE2_NOTEMPTY), data,
          context)
      }
    // 0 means that there was no room for groups, which are not used.
    guard found >= 0, let offsets = pcre2_get_ovector_pointer_8(data) else { return nil }
    // \K in a lookahead may set the start behind the end.
    guard offsets[0] < offsets[1], offsets[0] >= start, offsets[1] <= subject.count else { return nil }
    return offsets[0]..<offsets[1]
  }
}
