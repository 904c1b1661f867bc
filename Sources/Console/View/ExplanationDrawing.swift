import Foundation
import Reinforcement

/// An `ExplanationPage` as an SVG document for a page of documentation.
///
/// It stands on a card of its own, so that it reads the same in light and dark surroundings, uses no script, style
/// sheet or font from elsewhere, and gives its numbers in words for readers who cannot see it. Equal pages give equal
/// bytes.
public struct ExplanationDrawing {
  private static let width = 1000.0
  private static let margin = 24.0
  /// The width of a monospaced character at `fontSize`; every token is stretched to it, whatever the font.
  private static let columnWidth = 7.2
  private static let fontSize = 12.0
  private static let lineHeight = 19.0
  /// Columns of the texts on the left, and where the numbers on the right begin.
  private static let columns = 84
  private static let right = 650.0
  /// Half the width of the bars' axis, and its middle.
  private static let barLength = 56.0
  private static let axis = 868.0

  private enum Colour {
    static let card = "#ffffff"
    static let line = "#d0d7de"
    static let text = "#1f2328"
    static let faint = "#57606a"
    static let notice = "#9a3412"
    static let before = "#8c959f"
    /// Blue and vermilion, which all kinds of colour vision distinguish (Okabe and Ito).
    static let better = "#0072b2"
    static let worse = "#d55e00"
  }

  private let page: ExplanationPage
  private var body = ""
  private var y = margin

  /// The document, UTF-8.
  public static func svg(_ page: ExplanationPage) -> String {
    var drawing = ExplanationDrawing(page: page)
    drawing.draw()
    return drawing.document
  }

  private init(page: ExplanationPage) { self.page = page }

  private var document: String {
    let height = Self.short(y + Self.margin)
    let width = Self.short(Self.width)
    let words = page.group.samples.enumerated().map { index, sample in
      "Completion \(index + 1): \"\(page.tokenTexts[index].joined())\"; H \(page.number(sample.meanEntropy)), "
        + "omega \(page.signed(sample.weight)), A \(page.signed(sample.advantage)), "
        + "A' \(page.signed(sample.shapedMean)), \(page.verdict(sample))."
    }
    return """
      <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" viewBox="0 0 \(width) \(height)" \
      role="img" aria-labelledby="title description">
      <title id="title">\(Self.escaped(page.title))</title>
      <desc id="description">\(Self.escaped((words + page.formulas).joined(separator: " ")))</desc>
      <rect x="0.5" y="0.5" width="\(Self.short(Self.width - 1))" height="\(Self.short(y + Self.margin - 1))" rx="8" \
      fill="\(Colour.card)" stroke="\(Colour.line)"/>
      <g font-family="ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="\(Self.short(Self.fontSize))" \
      xml:space="preserve">
      \(body)</g>
      </svg>

      """
  }

  // MARK: Parts

  private mutating func draw() {
    y += 8
    text(page.title, x: Self.margin, size: 15, fill: Colour.text, weight: "bold")
    y += 22
    if let notice = page.notice {
      text(notice, x: Self.margin, fill: Colour.notice, weight: "bold")
      y += Self.lineHeight
    }
    drawQuestion()
    drawLegend()
    for index in page.group.samples.indices { drawSample(index) }
    rule()
    for line in page.formulas.flatMap({ page.wrapped($0, width: 128) }) {
      text(line, x: Self.margin, fill: Colour.text)
      y += Self.lineHeight
    }
    y -= Self.lineHeight
  }

  private mutating func drawQuestion() {
    let top = y - Self.fontSize
    for line in page.wrapped(page.question, width: Self.columns) {
      text(line, x: Self.margin, fill: Colour.text)
      y += Self.lineHeight
    }
    text("right: \(page.reference)", x: Self.margin, fill: Colour.faint)
    y += Self.lineHeight
    let side = 150.0
    for (index, image) in page.images.prefix(2).enumerated() {
      let kind = image.first == 0x89 ? "png" : "jpeg"
      let x = Self.short(Self.right + Double(index) * (side + 8))
      body += "<image x=\"\(x)\" y=\"\(Self.short(top))\" width=\"\(Self.short(side))\" height=\"\(Self.short(side))\" "
      body += "href=\"data:image/\(kind);base64,\(Data(image).base64EncodedString())\"/>\n"
    }
    if !page.images.isEmpty { y = max(y, top + side + 1.5 * Self.lineHeight) }
  }

  private mutating func drawLegend() {
    y += 6
    var x = Self.margin
    text("entropy of a token, nats", x: x, fill: Colour.faint)
    x += 25 * Self.columnWidth
    for level in 0..<EntropyScale.levelCount {
      x += token(" \(EntropyScale.label(level)) ", level: level, x: x) + 2
    }
    text("A before and A' after", x: Self.axis, fill: Colour.faint, anchor: "middle")
    y += Self.lineHeight
  }

  private mutating func drawSample(_ index: Int) {
    rule()
    let sample = page.group.samples[index]
    let top = y
    for line in ShadedText(page.tokenTexts[index], entropies: sample.entropies, width: Self.columns).lines {
      var x = Self.margin
      for part in line {
        body += "<g><title>\(page.number(part.entropy)) nats</title>"
        x += token(part.text, level: EntropyScale.level(part.entropy), x: x)
        body += "</g>\n"
      }
      y += Self.lineHeight
    }
    let bottom = y
    y = top
    let colour = sample.advantage > 0 ? Colour.better : sample.advantage < 0 ? Colour.worse : Colour.faint
    text("H \(page.number(sample.meanEntropy))", x: Self.right, fill: Colour.text)
    bar(sample.advantage, fill: Colour.before, label: Colour.faint)
    y += Self.lineHeight
    text("ω \(page.signed(sample.weight))", x: Self.right, fill: Colour.text)
    bar(sample.shapedMean, fill: colour, label: colour)
    y += Self.lineHeight
    text("r \(page.number(sample.reward, digits: 2))  \(page.verdict(sample))", x: Self.right, fill: colour)
    y = max(bottom, y + Self.lineHeight)
  }

  /// An advantage as a bar from the axis, as long as the largest of the group allows, and its number.
  private mutating func bar(_ value: Float, fill: String, label: String) {
    let largest = page.group.samples.flatMap { [abs($0.advantage), abs($0.shapedMean)] }.max() ?? 0
    let length = largest > 0 ? Double(abs(value) / largest) * Self.barLength : 0
    let x = value < 0 ? Self.axis - length : Self.axis
    rectangle(x: x, y: y - 9, width: max(1, length), height: 10, fill: fill)
    let isLeft = value < 0
    let end = isLeft ? x - 5 : x + length + 5
    text(page.signed(value), x: end, size: 11, fill: label, anchor: isLeft ? "end" : "start")
  }

  /// A token on its ground.
  /// - Returns: its width.
  private mutating func token(_ text: String, level: Int, x: Double) -> Double {
    let (red, green, blue) = EntropyScale.rgb(level)
    let width = Double(text.columns) * Self.columnWidth
    let colour = String(format: "#%02x%02x%02x", red, green, blue)
    rectangle(x: x, y: y - 13, width: width, height: 18, fill: colour, stroke: Colour.line)
    self.text(text, x: x, fill: "#000000", length: width)
    return width
  }

  private mutating func rule() {
    y -= 4
    rectangle(x: Self.margin, y: y - 6, width: Self.width - 2 * Self.margin, height: 1, fill: Colour.line)
    y += 16
  }

  // MARK: Marks

  private mutating func rectangle(
    x: Double, y: Double, width: Double, height: Double, fill: String, stroke: String? = nil
  ) {
    body += "<rect x=\"\(Self.short(x))\" y=\"\(Self.short(y))\" width=\"\(Self.short(width))\" "
    body +=
      "height=\"\(Self.short(height))\" fill=\"\(fill)\"\(stroke.map { " stroke=\"\($0)\" stroke-width=\"0.5\"" } ?? "")/>\n"
  }

  /// - Parameter length: what the text is stretched to.
  private mutating func text(
    _ text: String, x: Double, size: Double = fontSize, fill: String, weight: String? = nil, anchor: String? = nil,
    length: Double? = nil
  ) {
    if text.isEmpty { return }
    body += "<text x=\"\(Self.short(x))\" y=\"\(Self.short(y))\" fill=\"\(fill)\""
    if size != Self.fontSize { body += " font-size=\"\(Self.short(size))\"" }
    if let weight { body += " font-weight=\"\(weight)\"" }
    if let anchor { body += " text-anchor=\"\(anchor)\"" }
    if let length { body += " textLength=\"\(Self.short(length))\" lengthAdjust=\"spacingAndGlyphs\"" }
    body += ">\(Self.escaped(text))</text>\n"
  }

  private static func short(_ value: Double) -> String {
    value == value.rounded() ? "\(Int(value))" : String(format: "%.1f", value)
  }

  /// Text that XML may hold: no control characters, and no character that would end it.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in StyledLine.printable(text).unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\u{FFFE}", "\u{FFFF}": result += "?"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
