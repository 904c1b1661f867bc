import CXXHash

/// XXH3-64 of a text, 16 hexadecimal digits: shows whether two settings are the same.
public func textDigest(_ text: String) -> String {
  let bytes = Array(text.utf8)
  return hexadecimal(bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) })
}

/// 16 digits.
func hexadecimal(_ value: UInt64) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}
