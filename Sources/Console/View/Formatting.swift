import Foundation

/// Numbers as people read them.
public enum Formatting {
  /// A metric in at most six characters or so: three significant digits, an exponent only when there must be one.
  public static func metric(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    let size = abs(value)
    if size == 0 { return "0" }
    if size < 0.0005 || size >= 1e6 { return String(format: "%.1e", value) }
    if size < 0.0995 { return String(format: "%.4f", value) }
    if size < 9.995 { return String(format: "%.3f", value) }
    if size < 99.95 { return String(format: "%.2f", value) }
    return String(format: "%.0f", value)
  }

  /// 4:12 or 1:02:33; "-" when it is not known.
  public static func duration(_ seconds: Double?) -> String {
    guard let seconds, seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "-" }
    let total = Int(seconds.rounded())
    let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60)
    let two = { (n: Int) in n < 10 ? "0\(n)" : "\(n)" }
    return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
  }

  /// 512, 5.1k, 2.3M.
  public static func count(_ value: Double) -> String {
    guard value.isFinite, value >= 0 else { return "-" }
    if value < 9999.5 { return String(format: "%.0f", value) }
    if value < 999_950 { return String(format: "%.1fk", value / 1e3) }
    return String(format: "%.1fM", value / 1e6)
  }

  /// A number of bytes: 512 MiB, 1.5 GiB.
  public static func bytes(_ count: Int) -> String {
    let tenths = (count * 10 + (1 << 29)) >> 30
    return tenths < 10 ? "\(max(1, count >> 20)) MiB" : "\(tenths / 10).\(tenths % 10) GiB"
  }

  /// The age of a heartbeat: 0.2 s, 12 s.
  public static func age(milliseconds: UInt32) -> String {
    milliseconds < 9950 ? String(format: "%.1f s", Double(milliseconds) / 1e3) : "\(milliseconds / 1000) s"
  }

  /// A difference with its sign: +0.270.
  public static func difference(_ value: Double) -> String { (value < 0 ? "" : "+") + String(format: "%.3f", value) }
}

/// A curve in one line of block characters.
public enum Sparkline {
  private static let blocks = Array("▁▂▃▄▅▆▇█")

  /// At most `width` blocks between the smallest and the largest value; a longer series is cut into `width` parts and
  /// each shows its mean. Values that are no numbers are left out.
  public static func text(_ values: [Double], width: Int) -> String {
    let finite = values.filter(\.isFinite)
    guard width > 0, !finite.isEmpty else { return "" }
    let points = min(width, finite.count)
    let means = (0..<points).map { i in
      let part = finite[(i * finite.count / points)..<((i + 1) * finite.count / points)]
      return part.reduce(0) { $0 + $1 / Double(part.count) }
    }
    let (low, high) = (means.min()!, means.max()!)
    let span = high - low
    return String(
      means.map { value in
        guard span > 0, span.isFinite else { return blocks[3] }
        return blocks[min(7, Int((value - low) / span * 8))]
      })
  }
}
