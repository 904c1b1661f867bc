/// The colours of token entropies: seven steps in nats, from white over yellow to dark orange.
///
/// The bounds are fixed, so that images of different runs compare. Lightness falls from step to step, so that the order
/// is seen without colour vision and in grey print, and black text on each has a contrast of at least 4.5 to 1 (WCAG
/// 2.1, AA): every token carries its own ground, and reads the same in light and dark surroundings. The colours are
/// ones of the 256 that terminals have; the image has the same.
public enum EntropyScale {
  /// Where a step ends and the next begins, nats. ln 2 = 0.69 is an even choice between two tokens.
  public static let bounds: [Float] = [0.02, 0.1, 0.25, 0.5, 1, 2]

  /// The colours of the levels, as indices into the 256 colours of terminals.
  static let colours = [231, 229, 222, 215, 208, 202, 166]

  public static var levelCount: Int { colours.count }

  /// The step of an entropy, 0 ..< levelCount.
  public static func level(_ entropy: Float) -> Int { bounds.firstIndex { entropy < $0 } ?? bounds.count }

  /// The range of entropies of a step: "0.1 to 0.25".
  public static func label(_ level: Int) -> String {
    switch level {
    case 0: "below \(number(bounds[0]))"
    case bounds.count: "from \(number(bounds[level - 1]))"
    default: "\(number(bounds[level - 1])) to \(number(bounds[level]))"
    }
  }

  /// Red, green and blue of a step, 0 ... 255.
  public static func rgb(_ level: Int) -> (red: Int, green: Int, blue: Int) {
    // 16 + 36 r + 6 g + b, each of these six brightnesses.
    let brightness = [0, 95, 135, 175, 215, 255]
    let index = colours[level] - 16
    return (brightness[index / 36], brightness[index / 6 % 6], brightness[index % 6])
  }

  private static func number(_ bound: Float) -> String {
    bound == bound.rounded() ? "\(Int(bound))" : "\(bound)"
  }
}
