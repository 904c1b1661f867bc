/// A number as people write it, compared as a decimal: never as a binary fraction, so 0.1 + 0.2 is 0.3 and no number is
/// too long.
///
/// Reads signs (also U+2212), currency signs, thousands separators, fractions and short exponents: "1,000", "1000.0",
/// "$5", "-$5", "1e3". A minus directly after a letter, digit or bracket is an operator: "12-7" ends in 7. Invariant:
/// `digits` starts and ends with a digit that is not 0; zero has no digits, no sign and exponent 0.
struct DecimalNumber: Equatable, Sendable {
  let isNegative: Bool
  /// The value is 0.DIGITS times 10 to the `exponent`. Digits are 0 ... 9.
  let digits: [UInt8]
  let exponent: Int

  /// The last number in the text; nil when there is none.
  static func last(in text: String) -> DecimalNumber? {
    var last: DecimalNumber?
    var scanner = Scanner(bytes: Array(text.utf8))
    while let number = scanner.next() { last = number }
    return last
  }

  private init(isNegative: Bool, whole: [UInt8], fraction: [UInt8], exponent: Int) {
    let all = (whole + fraction).map { $0 - UInt8(ascii: "0") }
    let leadingZeros = all.prefix { $0 == 0 }.count
    let significant = all[leadingZeros...]
    let trailingZeros = significant.reversed().prefix { $0 == 0 }.count
    digits = Array(significant.dropLast(trailingZeros))
    self.isNegative = isNegative && !digits.isEmpty
    self.exponent = digits.isEmpty ? 0 : whole.count - leadingZeros + exponent
  }

  /// Walks a text from number to number.
  private struct Scanner {
    let bytes: [UInt8]
    var position = 0

    mutating func next() -> DecimalNumber? {
      while position < bytes.count {
        let hasPointInFront = byte(position) == UInt8(ascii: ".") && isDigit(position + 1)
        if isDigit(position) || hasPointInFront { return number() }
        position += 1
      }
      return nil
    }

    private mutating func number() -> DecimalNumber {
      let start = position
      var whole = digits()
      if (1...3).contains(whole.count) {
        while byte(position) == UInt8(ascii: ","), (1...3).allSatisfy({ isDigit(position + $0) }),
          !isDigit(position + 4)
        {
          position += 1
          whole += digits()
        }
      }
      var fraction: [UInt8] = []
      if byte(position) == UInt8(ascii: "."), isDigit(position + 1) {
        position += 1
        fraction = digits()
      }
      return DecimalNumber(
        isNegative: hasMinus(before: start), whole: whole, fraction: fraction, exponent: shortExponent())
    }

    /// "e3", "E-12": at most four digits, or it is none.
    private mutating func shortExponent() -> Int {
      guard let e = byte(position), e | 0x20 == UInt8(ascii: "e") else { return 0 }
      let start = position
      position += 1
      let isNegative = byte(position) == UInt8(ascii: "-")
      if isNegative || byte(position) == UInt8(ascii: "+") { position += 1 }
      let digits = digits()
      guard (1...4).contains(digits.count) else {
        position = start
        return 0
      }
      let value = digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
      return isNegative ? -value : value
    }

    private mutating func digits() -> [UInt8] {
      let start = position
      while isDigit(position) { position += 1 }
      return Array(bytes[start..<position])
    }

    private func hasMinus(before start: Int) -> Bool {
      var end = start
      for currency in ["$", "€", "£", "¥"] where bytes[..<end].hasSuffix(currency) { end -= currency.utf8.count }
      guard let minus = ["-", "\u{2212}"].first(where: { bytes[..<end].hasSuffix($0) }) else { return false }
      guard let before = byte(end - minus.utf8.count - 1) else { return true }
      let isLetter = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(before | 0x20)
      return !isLetter && !isDigit(end - minus.utf8.count - 1) && before != UInt8(ascii: ")")
    }

    private func byte(_ index: Int) -> UInt8? { bytes.indices.contains(index) ? bytes[index] : nil }

    private func isDigit(_ index: Int) -> Bool {
      byte(index).map { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false
    }
  }
}

extension ArraySlice<UInt8> {
  fileprivate func hasSuffix(_ text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
