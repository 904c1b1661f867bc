import Console
import Foundation
import Reinforcement
import Testing

/// What `fovea explain` shows: colours, lines and the image.
@Suite struct ExplanationTests {
  private static let tokenTexts = [["<think>", " so & so", "\nyes"], ["no\u{1B}[2J", ""]]

  private static func page(_ tokenTexts: [[String]] = Self.tokenTexts, kind: String = "uadt") -> ExplanationPage {
    let rewards: [[Float]] = [[1.1, 0.1]]
    let entropies: [[[Float]]] = [[[0.01, 1.2, 1.5], [0.3, 0.2]]]
    var shaping = ShapingSettings()
    shaping.kind = kind
    var threshold = UncertaintyThreshold(gamma: shaping.gamma, value: 0.5)
    let batch = batchAdvantages(
      rewards: rewards, entropies: entropies, threshold: &threshold, advantage: AdvantageSettings(), shaping: shaping)
    return ExplanationPage(
      title: "run <1>, step 4", question: "Which \"one\"?", reference: "B", images: [[0x89, 0x50]],
      notice: "Synthetic; not for clinical use.", tokenTexts: tokenTexts,
      group: GroupExplanation(
        group: 0, rewards: rewards, entropies: entropies, batch: batch, thresholdBefore: 0.5),
      advantage: AdvantageSettings(), shaping: shaping)
  }

  @Test("The colours darken step by step under text that can be read")
  func theColoursDarkenStepByStepUnderTextThatCanBeRead() {
    // Relative luminance and contrast as WCAG 2.1 defines them.
    func luminance(_ level: Int) -> Double {
      let (red, green, blue) = EntropyScale.rgb(level)
      let linear = [red, green, blue].map { channel in
        let c = Double(channel) / 255
        return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4)
      }
      return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }
    let luminances: [Double] = (0..<EntropyScale.levelCount).map(luminance)
    #expect(EntropyScale.levelCount == 7)
    for (lighter, darker) in zip(luminances, luminances.dropFirst()) { #expect(lighter > darker) }
    for luminance in luminances { #expect((luminance + 0.05) / 0.05 >= 4.5, "black on it") }
    let (red, green, blue) = EntropyScale.rgb(2)
    #expect(red == 255, "colour 222 of the terminals' 256")
    #expect(green == 215, "colour 222 of the terminals' 256")
    #expect(blue == 135, "colour 222 of the terminals' 256")
  }

  @Test(
    "An entropy has the step that its label says",
    arguments: [(Float(0), 0), (0.0199, 0), (0.02, 1), (0.6931, 4), (1, 5), (2, 6), (12, 6)])
  func anEntropyHasTheStepThatItsLabelSays(_ entropy: Float, _ level: Int) throws {
    #expect(EntropyScale.level(entropy) == level)
    let bounds = EntropyScale.label(level).matches(of: #/[0-9.]+/#).compactMap { Float($0.0) }
    switch level {
    case 0: #expect(entropy < bounds[0])
    case 6: #expect(entropy >= bounds[0])
    default:
      try #require(bounds.count == 2)
      #expect(entropy >= bounds[0])
      #expect(entropy < bounds[1])
    }
  }

  @Test("The lines show every token on its colour, and the step's own numbers")
  func theLinesShowEveryTokenOnItsColourAndTheStepsOwnNumbers() {
    let lines = Self.page().lines(width: 100)
    let text = lines.map(\.text)
    #expect(text.contains("  <think> so & so⏎"), "\(text)")
    #expect(text.contains("  yes"), "\(text)")
    #expect(text.contains("  no?[2J"), "\(text)")
    // H 0.9033 and 0.25, Hbar 0.5767, tau 0.9 x 0.5 + 0.1 x 0.5767 = 0.5077
    #expect(text.contains { $0.hasPrefix("1  H 0.9033  omega +0.6524  r 1.10  A +0.7070 -> +0.9376") }, "\(text)")
    #expect(text.contains { $0.contains("uncertain, better: reinforced more") })
    #expect(text.contains { $0.contains("certain, worse: punished more") })
    #expect(text.contains("tau = 0.9 x 0.5000 + 0.1 x 0.5767 = 0.5077: the threshold follows Hbar."), "\(text)")
    let coloured = lines.map { $0.rendered(colour: true) }.joined()
    #expect(coloured.contains("\u{1B}[38;5;16;48;5;202m so & so\u{1B}[0m\u{1B}[38;5;16;48;5;202m⏎\u{1B}[0m"))
    #expect(coloured.contains("\u{1B}[38;5;16;48;5;231m<think>\u{1B}[0m"))
    #expect(!coloured.contains("\u{1B}[2J"))
    #expect(!lines.contains { $0.rendered(colour: false).contains("\u{1B}") })
  }

  @Test("Long tokens and lines are broken at the width")
  func longTokensAndLinesAreBrokenAtTheWidth() {
    let long = String(repeating: "wörter ", count: 40)
    let page = Self.page([[long, "abc", String(repeating: "眼", count: 50)], ["", ""]])
    for width in [40, 57, 100] {
      let lines = page.lines(width: width)
      #expect(lines.map { $0.text.filter { $0 == "ö" }.count }.reduce(0, +) == 40, "nothing is lost")
      #expect(lines.map { $0.text.filter { $0 == "眼" }.count }.reduce(0, +) == 50)
      for line in lines where line.text.contains("ö") || line.text.contains("眼") { #expect(line.columns <= width) }
    }
  }

  @Test("The image is XML with everything escaped, and the same again", arguments: ShapingDefinition.all.map(\.name))
  func theImageIsXMLWithEverythingEscapedAndTheSameAgain(_ kind: String) {
    let svg = ExplanationDrawing.svg(Self.page(kind: kind))
    #expect(svg == ExplanationDrawing.svg(Self.page(kind: kind)))
    var open: [Substring] = []
    for tag in svg.matches(of: #/<(/?)([a-z]+)((?:[^<>"]|"[^"<]*")*?)(/?)>/#) {
      if tag.1 == "/" {
        #expect(open.popLast() == tag.2)
      } else if tag.4.isEmpty {
        open.append(tag.2)
      }
    }
    #expect(open.isEmpty)
    let text = svg.replacing(#/<[^>]*>/#, with: "")
    #expect(!text.contains("<"))
    #expect(!text.contains(">"))
    #expect(svg.matches(of: #/&/#).count == svg.matches(of: #/&(?:amp|lt|gt|quot);/#).count)
    #expect(!svg.unicodeScalars.contains { $0.value < 32 && $0 != "\n" })
    #expect(svg.contains("Synthetic; not for clinical use."))
    #expect(svg.contains("data:image/png;base64,iVA="))
    #expect(svg.contains("A = (r - 0.6000) / (0.7071 + 0.0001)"))
  }
}
