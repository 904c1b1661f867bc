import Foundation
import Testing
import Wire

@Suite("The table of metrics")
struct MetricTableTests {
  private static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("docs/METRICS.md")

  @Test("Every metric has a name of its own, in snake_case, and a meaning")
  func names() {
    let names = MetricDefinition.all.map(\.name)
    #expect(Set(names).count == names.count)
    for metric in MetricDefinition.all {
      #expect(metric.name.wholeMatch(of: #/[a-z][a-z0-9]*(?:_[a-z0-9]+)*/#) != nil, "\(metric.name)")
      #expect(!metric.meaning.isEmpty, "\(metric.name)")
    }
  }

  @Test("docs/METRICS.md holds the table of each maker, as it is written from the table of metrics")
  func documentation() throws {
    var text = try String(contentsOf: Self.file, encoding: .utf8)
    var missing: [String] = []
    for maker in MetricDefinition.Maker.allCases {
      let (opening, closing) = ("<!-- \(maker.rawValue) -->\n", "<!-- end -->")
      let start = try #require(text.range(of: opening)?.upperBound, "no \(opening)")
      let end = try #require(text.range(of: closing, range: start..<text.endIndex)?.lowerBound)
      let wanted = MetricDefinition.documentation(of: maker)
      if text[start..<end] != wanted { missing.append(maker.rawValue) }
      text.replaceSubrange(start..<end, with: wanted)
    }
    if ProcessInfo.processInfo.environment["FOVEA_WRITE_DOCS"] == "1" {
      try text.write(to: Self.file, atomically: true, encoding: .utf8)
    } else {
      #expect(missing.isEmpty, "write it anew: FOVEA_WRITE_DOCS=1 deploy/run-tests --filter MetricTableTests")
    }
  }
}
