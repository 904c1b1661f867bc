import Fundus
import Testing

/// How far one source of a complex question gets without the other.
///
/// The best predictor from a source is a table: for everything that the source can say, the answer that was most often
/// right in one half of many samples; it is judged on the other half. What an image can say is its truth, which no
/// reading of pixels betters; what a text can say is its words without the age, which is drawn on its own. Where
/// options come in random order, each option is judged, or the text that is right, so that the shuffle hides nothing.
@Suite("Fundus questions from one source alone")
struct SingleSourceTests {
  private struct Item {
    var text: String
    var image: String
    var answer: String
  }

  private static func items(_ family: QuestionFamily, count: Int) -> [Item] {
    let generator = FundusGenerator(families: [family], seed: 23)
    return (0..<UInt64(count)).flatMap { cursor -> [Item] in
      let sample = generator.trainingSample(at: cursor)
      let (scene, question) = (sample.scene, sample.question)
      let diagnosis = scene.diagnosis
      let halves = LesionKind.allCases.map { "\(scene.half(of: $0)?.rawValue ?? "-")" }
      let image =
        "\(diagnosis.diseases) \(diagnosis.retinopathyGrade) \(scene.eye)"
        + ([.field, .cause].contains(family) ? "\(halves)" : "")
      let text = withoutAges(question.stem)
      let letters = question.answer.split(separator: ",").compactMap { $0.utf8.first.map { Int($0) - 65 } }
      switch family {
      case .changed:
        return question.options.enumerated().compactMap { index, option in
          guard let kind = LesionKind.allCases.first(where: { $0.name == option }) else { return nil }
          return Item(
            text: "\(option) \(question.stem.contains(option))", image: "\(option) \(scene.count(kind) > 0)",
            answer: "\(letters.contains(index))")
        }
      case .histories:
        return question.options.enumerated().map { index, option in
          Item(
            text: withoutAges(option), image: "\(image) \(index)", answer: "\(letters.contains(index))")
        }
      case .whose:
        // The histories are the options: an image without them can only name a letter.
        return [Item(text: withoutAges(question.options.joined()), image: image, answer: question.answer)]
      case .cause:
        return [Item(text: text + question.options.joined(), image: image, answer: question.options[letters[0]])]
      default:
        return [Item(text: text, image: image, answer: question.answer)]
      }
    }
  }

  private static func withoutAges(_ text: String) -> String { text.replacing(#/Age \d+/#, with: "") }

  private static func accuracy(_ items: [Item], _ key: (Item) -> String) -> Double {
    var counts: [String: [String: Int]] = [:]
    for item in items[..<(items.count / 2)] { counts[key(item), default: [:]][item.answer, default: 0] += 1 }
    let best = counts.mapValues { $0.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key }
    let rest = items[(items.count / 2)...]
    return Double(rest.count { best[key($0)] == $0.answer }) / Double(rest.count)
  }

  /// What the best reader of one source reaches. It is chance, but for `pressure`, whose four diagnoses one source
  /// halves, for `cause`, where it is chance between the two kinds that are shown, and for `changed`, where something
  /// always has.
  private static let bounds: [(QuestionFamily, text: Double, image: Double)] = [
    (.fit, 0.5, 0.5), (.unchanged, 0.5, 0.5), (.field, 0.5, 0.5), (.whose, 1.0 / 3, 1.0 / 3), (.cause, 0.5, 0.5),
    (.changed, 0.54, 0.54), (.histories, 0.5, 0.5), (.pressure, 0.5, 0.5), (.patient, 1.0 / 3, 1.0 / 3),
  ]

  @Test("Neither text nor image alone answers a complex question", arguments: bounds)
  func complex(family: QuestionFamily, text: Double, image: Double) {
    let items = Self.items(family, count: 8000)
    let byText = Self.accuracy(items) { $0.text }
    let byImage = Self.accuracy(items) { $0.image }
    let byBoth = Self.accuracy(items) { $0.text + "|" + $0.image }
    print("\(family.rawValue): text \(byText), image \(byImage), both \(byBoth)")
    #expect(byText < text + 0.03)
    #expect(byImage < image + 0.03)
    // The table of both answers where 4,000 samples fill it; `TruthOracle` answers everywhere.
    if [.unchanged, .pressure].contains(family) { #expect(byBoth > 0.99) }
  }

  @Test("Every complex family is judged")
  func completeness() {
    #expect(Set(Self.bounds.map(\.0)) == Set(QuestionFamily.allCases.filter { $0.domain == .complex }))
  }

  @Test(
    "The words of a basic question do not tell its answer", arguments: [QuestionFamily.presence, .largeCup, .rightEye])
  func basic(family: QuestionFamily) {
    #expect(Self.accuracy(Self.items(family, count: 6000)) { $0.text } < 0.53)
  }
}
