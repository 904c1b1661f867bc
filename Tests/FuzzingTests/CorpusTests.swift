import Foundation
import Fuzzing
import Testing

/// Every input of the fuzzers' corpora, read as deploy/fuzz reads it. A trap or a broken promise ends the process.
@Suite("Corpora")
struct CorpusTests {
  struct Corpus: Sendable, CustomStringConvertible {
    var target: FuzzTarget
    var inputs: [(name: String, bytes: [UInt8])]
    var description: String { target.name }
  }

  static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures/fuzz")

  static let corpora = FuzzTarget.all.map { target in
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent(target.name).path))
    return Corpus(
      target: target,
      inputs: (names ?? []).sorted().compactMap { name in
        let path = folder.appendingPathComponent(target.name).appendingPathComponent(name).path
        return FileManager.default.contents(atPath: path).map { (name, [UInt8]($0)) }
      })
  }

  /// Seconds of processor time of this thread, which a busy machine does not change.
  private func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  @Test("Each input is decoded or refused, within a second", arguments: corpora)
  func replay(_ corpus: Corpus) {
    var outcomes: [FuzzTarget.Outcome: Int] = [:]
    for (name, bytes) in corpus.inputs {
      let start = processorSeconds()
      outcomes[corpus.target.run(bytes), default: 0] += 1
      let seconds = processorSeconds() - start
      #expect(seconds < 1, "\(corpus)/\(name) takes \(seconds) s")
    }
    // A corpus of refusals alone would not show what lies behind the first check.
    #expect(outcomes[.decoded, default: 0] > 0, "no input of \(corpus) is sound")
    // A state machine takes every event, so it refuses nothing.
    if !["coordinator", "worker", "learner"].contains(corpus.target.name) {
      #expect(outcomes[.refused, default: 0] > 0, "no input of \(corpus) is refused")
    }
  }

  @Test("Inputs cut anywhere are decoded or refused", arguments: corpora)
  func truncation(_ corpus: Corpus) {
    for (_, bytes) in corpus.inputs.prefix(40) {
      for count in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 16)) {
        corpus.target.run(Array(bytes[..<count]))
      }
    }
  }

  @Test("Every target has a corpus, and every corpus a target")
  func targets() throws {
    let folders = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).filter { !$0.contains(".") }
    #expect(Set(folders) == Set(FuzzTarget.all.map(\.name)))
  }
}
