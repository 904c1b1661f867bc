/// Base64 (RFC 4648), strict except for line breaks, since many writers wrap their lines.
public enum Base64 {
  /// nil for a character outside the alphabet, a wrong length, or padding elsewhere than at the end.
  public static func decode(_ text: some StringProtocol) -> [UInt8]? {
    var text = String(text)
    return text.withUTF8 { decode($0) }
  }

  static func decode(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3)
    var group: UInt32 = 0
    var count = 0
    var paddingCount = 0
    for character in text {
      let value = values[Int(character)]
      if value < 64 {
        guard paddingCount == 0 else { return nil }
        group = group << 6 | UInt32(value)
        count += 1
        if count % 4 == 0 {
          bytes.append(UInt8(truncatingIfNeeded: group >> 16))
          bytes.append(UInt8(truncatingIfNeeded: group >> 8))
          bytes.append(UInt8(truncatingIfNeeded: group))
        }
      } else if value == padding {
        paddingCount += 1
      } else if value != lineBreak {
        return nil
      }
    }
    // Two characters hold a byte and 4 unused bits, three hold two bytes and 2 unused bits.
    switch (count % 4, paddingCount) {
    case (0, 0): break
    case (2, 2):
      guard group & 0xF == 0 else { return nil }
      bytes.append(UInt8(truncatingIfNeeded: group >> 4))
    case (3, 1):
      guard group & 0x3 == 0 else { return nil }
      bytes.append(UInt8(truncatingIfNeeded: group >> 10))
      bytes.append(UInt8(truncatingIfNeeded: group >> 2))
    default: return nil
    }
    return bytes
  }

  public static func encode(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    let byteCount = (bytes.count + 2) / 3 * 4
    return String(unsafeUninitializedCapacity: byteCount) { text in
      for (group, start) in stride(from: 0, to: bytes.count, by: 3).enumerated() {
        let part = bytes[start..<min(start + 3, bytes.count)]
        let word = part.reduce(0) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - part.count))
        for index in 0..<4 {
          text[group * 4 + index] =
            index <= part.count
            ? alphabet[Int(word >> (18 - 6 * UInt32(index)) & 63)] : UInt8(ascii: "=")
        }
      }
      return byteCount
    }
  }

  private static let padding: UInt8 = 64
  private static let lineBreak: UInt8 = 65
  private static let values: [UInt8] = (0..<256).map { character in
    switch UInt8(character) {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt8(character) - UInt8(ascii: "A")
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt8(character) - UInt8(ascii: "a") + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt8(character) - UInt8(ascii: "0") + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    case UInt8(ascii: "="): padding
    case UInt8(ascii: "\n"), UInt8(ascii: "\r"): lineBreak
    default: 255
    }
  }
}
