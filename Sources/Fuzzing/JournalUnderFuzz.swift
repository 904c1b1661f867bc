import Coordinator
import Foundation
import FoveaTesting
import Glibc
import Settings
import Support
import Synchronization
import Wire

/// A coordinator that starts from a damaged journal: the SQLite file of a simulated run, in which an input changes
/// bytes, and then what was read from it, in which it changes values.
///
/// Any damage is either reported by an `InputError`, or leaves a sound coordinator that resumes.
struct JournalUnderFuzz {
  /// The file of a run at some moment.
  private struct Base: Sendable {
    let settings: RunSettings
    let file: [UInt8]
    /// Where the file holds anything but zeros.
    let used: [Int]
  }

  static func run(_ bytes: [UInt8]) throws {
    var input = FuzzInput(bytes)
    let base = bases[input.integer(below: bases.count)]
    var file = base.file
    for _ in 0..<Int(input.byte() & 15) {
      let place = base.used[input.integer(below: base.used.count)]
      file[place] = input.byte()
    }
    // A disk that took the beginning only.
    let cut = Int(input.byte())
    if cut > 128 { file.removeLast(min(file.count, (cut - 128) * 200)) }
    let (journal, read) = try JournalFile.with(file) { path in
      let journal = try Journal(path: path, runID: "run")
      return (journal, try journal.contents())
    }
    var contents = read
    input.events { change(&contents, &$0) }
    var state = try CoordinatorState(
      settings: base.settings, runID: "run", incarnation: 8, dataset: SimulatedDataset(heldOutCount: 5), from: contents,
      now: 0)
    promise(state.brokenInvariants.isEmpty, "\(state.brokenInvariants)")
    for step in contents.steps.keys where contents.steps[step]?.measured != nil {
      if let groups = try? journal.recall(step: step) { _ = state.on(.recalled(step: step, groups), now: 1) }
    }
    for now in [Milliseconds(1), 1000, 100_000] { _ = state.on(.tick, now: now) }
    promise(state.brokenInvariants.isEmpty, "\(state.brokenInvariants)")
  }

  // MARK: Sound journals

  private static let bases: [Base] = (1...3).flatMap { seed -> [Base] in
    var plan = SimulatedFarm.Plan()
    plan.settings.run.steps = 4
    plan.settings.algorithm.dynamicSampling = seed != 1
    plan.settings.rollout.maxStaleness = seed == 3 ? 1 : 0
    let written = Written()
    plan.onCommit = { written.add($0) }
    var farm = SimulatedFarm(seed: UInt64(seed), plan: plan)
    _ = farm.run()
    let transactions = written.all
    return [0.1, 0.3, 0.5, 0.7, 1].map { share in
      let entries = transactions.prefix(Int(Double(transactions.count) * share)).flatMap { $0 }
      let file = sound(entries)
      return Base(settings: plan.settings, file: file, used: file.indices.filter { file[$0] != 0 })
    }
  }

  private static func sound(_ entries: [JournalEntry]) -> [UInt8] {
    do {
      return try JournalFile.with([]) { path in
        let journal = try Journal(path: path, runID: "run")
        try journal.write(entries)
        try journal.settle()
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
      }
    } catch { fatalError("no sound journal: \(error)") }
  }

  // MARK: Damaged values

  private static func change(_ contents: inout JournalContents, _ input: inout FuzzInput) {
    switch input.byte() % 10 {
    case 0: contents.nextToOpen = UInt32(truncatingIfNeeded: number(&input))
    case 1: contents.cursor = number(&input)
    case 2: contents.checkpointedStep = UInt32(truncatingIfNeeded: number(&input))
    case 3: contents.versions[UInt32(truncatingIfNeeded: number(&input))] = PolicyVersion(number(&input))
    case 4: if let step = one(of: contents.versions.keys.sorted(), &input) { contents.versions[step] = nil }
    case 5:
      contents.steps[UInt32(truncatingIfNeeded: number(&input))] = JournalContents.Step(
        cursor: number(&input), cursorAfter: number(&input), measured: input.byte() % 2 == 0 ? nil : [:])
    case 6: if let step = one(of: contents.steps.keys.sorted(), &input) { contents.steps[step] = nil }
    case 7: contents.counters.stale = number(&input)
    case 8: if let index = one(of: Array(contents.leases.indices), &input) { contents.leases.remove(at: index) }
    default:
      guard let index = one(of: Array(contents.leases.indices), &input) else { return }
      change(&contents.leases[index], &input)
    }
  }

  /// Not its id, which is the table's key.
  private static func change(_ lease: inout JournalContents.LeaseRecord, _ input: inout FuzzInput) {
    switch input.byte() % 7 {
    case 0: lease.cursor = number(&input)
    case 1: lease.step = UInt32(truncatingIfNeeded: number(&input))
    case 2: lease.purpose = lease.purpose == .train ? .evaluate : .train
    case 3: lease.attempt = UInt32(truncatingIfNeeded: number(&input))
    case 4: lease.failures = Int(UInt32(truncatingIfNeeded: number(&input)))
    case 5: lease.outcome = input.byte() % 2 == 0 ? .open : .quarantined
    default:
      guard case .finished(var group) = lease.outcome else { return }
      group.rollouts.removeLast(min(group.rollouts.count, Int(input.byte())))
      group.policyVersion = PolicyVersion(number(&input))
      lease.outcome = .finished(group)
    }
  }

  /// Small, or near a limit.
  private static func number(_ input: inout FuzzInput) -> UInt64 {
    let small = UInt64(input.byte())
    switch small >> 5 {
    case 0...4: return small
    case 5: return UInt64.max &- (small & 31)
    case 6: return PromptSource.cursorMax &+ (small & 31) << 24
    default: return UInt64(UInt32.max) &- (small & 31)
    }
  }

  private static func one<Element>(of elements: [Element], _ input: inout FuzzInput) -> Element? {
    elements.isEmpty ? nil : elements[input.integer(below: elements.count)]
  }

  private final class Written: Sendable {
    private let transactions = Mutex<[[JournalEntry]]>([])
    func add(_ entries: [JournalEntry]) { transactions.withLock { $0.append(entries) } }
    var all: [[JournalEntry]] { transactions.withLock { $0 } }
  }
}

/// A file in a folder of its own, for a reader that keeps other files next to it.
private enum JournalFile {
  /// Calls `body` with the path of a file that holds the bytes; both are gone afterwards.
  static func with<R>(_ bytes: [UInt8], _ body: (_ path: String) throws -> R) throws -> R {
    var template = Array("/dev/shm/fovea-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("no folder in /dev/shm: \(String(cString: strerror(errno)))") }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = "\(folder)/\(Journal.fileName)"
    if !bytes.isEmpty {
      guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else { fatalError("/dev/shm is full") }
    }
    return try body(path)
  }
}
