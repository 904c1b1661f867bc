import Coordinator
import Foundation
import FoveaTesting
import Glibc
import Support
import Synchronization
import Testing
import Wire

@Suite("The journal's file")
struct JournalTests {
  /// A journal's path in a folder of its own, which goes away.
  private func withPath(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "fovea-journal-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder + "/" + Journal.fileName)
  }

  /// Everything that a coordinator wrote in a simulated run, transaction by transaction.
  private func transactions(seed: UInt64) -> [[JournalEntry]] {
    var plan = SimulatedFarm.Plan.drawn(seed: seed)
    let written = Written()
    plan.onCommit = { written.add($0) }
    var farm = SimulatedFarm(seed: seed, plan: plan)
    _ = farm.run()
    return written.all
  }

  @Test("It holds what its twin in memory holds, after each restart", arguments: [3, 8, 21] as [UInt64])
  func twin(seed: UInt64) throws {
    let transactions = transactions(seed: seed)
    #expect(transactions.count > 50)
    try withPath { path in
      var twin = SimulatedJournal()
      var journal = try Journal(path: path, runID: "run")
      for (index, entries) in transactions.enumerated() {
        try journal.write(entries)
        twin.write(entries)
        guard index % 40 == 0 || index == transactions.count - 1 else { continue }
        // Closed and opened again, as by a new process; the old one lets go of its lock first.
        journal = try Journal(path: ":memory:", runID: "run")
        journal = try Journal(path: path, runID: "run")
        #expect(try journal.contents() == twin.contents)
        for step in 0..<8 as Range<UInt32> { #expect(try journal.recall(step: step) == twin.recall(step: step)) }
      }
    }
  }

  @Test("Nobody else may read it, and one process at a time has it")
  func access() throws {
    try withPath { path in
      let journal = try Journal(path: path, runID: "run")
      try journal.write([.began(step: 0, version: PolicyVersion(0), cursor: 0)])
      for name in try FileManager.default.contentsOfDirectory(atPath: (path as NSString).deletingLastPathComponent) {
        var information = stat()
        stat((path as NSString).deletingLastPathComponent + "/" + name, &information)
        #expect(information.st_mode & 0o777 == 0o600, "\(name)")
      }
      #expect { try Journal(path: path, runID: "run") } throws: {
        ($0 as? InputError)?.expected.contains("no other") ?? false
      }
      withExtendedLifetime(journal) {}
    }
  }

  @Test("A journal of another run, of another program, damaged, or none at all is refused and stays as it is")
  func foreign() throws {
    try withPath { path in
      do {
        let journal = try Journal(path: path, runID: "run")
        try journal.write([.began(step: 0, version: PolicyVersion(0), cursor: 0)])
        try journal.write((0..<400).map { .drew(LeaseID($0 * 2), .train, step: 0, cursor: $0) })
      }
      let whole = try Data(contentsOf: URL(fileURLWithPath: path))
      func refusal(_ bytes: Data, runID: String = "run") throws -> String {
        try bytes.write(to: URL(fileURLWithPath: path))
        do {
          _ = try Journal(path: path, runID: runID)
          return "none"
        } catch {
          #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)
          return "\(error)"
        }
      }
      #expect(try refusal(whole, runID: "other").contains("expected the journal of run other, found that of run run"))
      #expect(
        try refusal(Data("run:\n  steps: 4\n".utf8 + [UInt8](repeating: 10, count: 5000))).contains("not a database"))
      var schema = whole
      schema[63] = 9
      #expect(try refusal(schema).contains("schema 9"))
      var application = whole
      application[68] = 0
      #expect(try refusal(application).contains("a database of something else"))
      // Pages in the middle.
      var damaged = whole
      for offset in stride(from: 8192 + 100, to: damaged.count, by: 4096) {
        for index in 0..<64 { damaged[offset + index] ^= 0xA5 }
        for index in -100 ..< -80 { damaged[offset + index] ^= 0xFF }
      }
      #expect(try refusal(damaged).contains("undamaged journal"))
      #expect(try refusal(whole) == "none")
    }
  }

  @Test("A group that was damaged on the disk is noticed by its checksum")
  func checksum() throws {
    try withPath { path in
      let group = SimulatedPolicy.group(
        step: 0, prompt: 0, seed: 1, groupSize: 4, maxNewTokens: 8, version: PolicyVersion(0))
      do {
        let journal = try Journal(path: path, runID: "run")
        try journal.write([
          .began(step: 0, version: PolicyVersion(0), cursor: 0), .opened(step: 0, cursor: 0, cursorAfter: 1),
          .drew(LeaseID(0), .train, step: 0, cursor: 0), .finished(LeaseID(0), group),
        ])
      }
      var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
      let text = Array(group.rollouts[0].text.utf8)
      let place = try #require((0..<bytes.count - text.count).first { Array(bytes[$0..<$0 + text.count]) == text })
      bytes[place + 1] ^= 1
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      let journal = try Journal(path: path, runID: "run")
      #expect { try journal.contents() } throws: { ($0 as? InputError)?.found == "a damaged leases.result" }
    }
  }

  @Test("A full disk refuses a transaction as a whole, and what was there is still there")
  func fullDisk() throws {
    try withPath { path in
      let entries: [JournalEntry] = [
        .began(step: 0, version: PolicyVersion(0), cursor: 0), .opened(step: 0, cursor: 0, cursorAfter: 1),
        .drew(LeaseID(0), .train, step: 0, cursor: 0),
      ]
      var journal: Journal? = try Journal(path: path, runID: "run")
      try journal?.write(entries)
      // What SQLite says of a disk without room.
      try journal?.limit(pageCount: 20)
      let big = (1..<5000).map { JournalEntry.drew(LeaseID($0 * 2), .train, step: 0, cursor: $0) }
      #expect {
        try journal?.write([.granted(LeaseID(0), attempt: 7)] + big)
      } throws: { ($0 as? InputError)?.expected == "room on the disk" }
      journal = nil
      let contents = try Journal(path: path, runID: "run").contents()
      #expect(contents.leases.map(\.attempt) == [0])
      #expect(contents.completed == 0)
    }
  }
}

private final class Written: Sendable {
  private let transactions = Mutex<[[JournalEntry]]>([])
  var all: [[JournalEntry]] { transactions.withLock { $0 } }
  func add(_ entries: [JournalEntry]) { transactions.withLock { $0.append(entries) } }
}
