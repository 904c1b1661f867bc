/// GPT-2's alphabet: one printable character for each byte, so that any bytes can stand in a text file.
///
/// Printable Latin-1 stands for itself; the other 68 bytes are U+0100, U+0101, ... in order. So a space is "Ġ".
/// Source: `bytes_to_unicode` of OpenAI's GPT-2 encoder.
package enum ByteAlphabet {
  /// The character of each byte.
  package static let scalars: [Unicode.Scalar] = {
    var next: UInt32 = 0x100
    return (0...255).map { (byte: UInt32) -> Unicode.Scalar in
      let printable = 0x21...0x7E ~= byte || 0xA1...0xAC ~= byte || 0xAE...0xFF ~= byte
      defer { if !printable { next += 1 } }
      return Unicode.Scalar(printable ? byte : next) ?? "?"
    }
  }()

  /// The byte of each character up to U+0143; nil for characters outside the alphabet.
  private static let bytes: [UInt8?] = {
    var table = [UInt8?](repeating: nil, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { table[Int(scalar.value)] = UInt8(byte) }
    return table
  }()

  /// The bytes that `text` writes, or nil when one of its characters is outside the alphabet.
  package static func decode(_ text: some StringProtocol) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      guard scalar.value < 0x144, let byte = bytes[Int(scalar.value)] else { return nil }
      result.append(byte)
    }
    return result
  }

  /// The text that writes `bytes`.
  package static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: bytes.lazy.map { scalars[Int($0)] })
    return String(view)
  }
}
