import Core
import Foundation
import Testing

/// Counts its turns on a thread of its own.
private actor Loop {
  private let executor = ThreadExecutor(name: "loop")
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
  private var stopped = false
  private(set) var log: [String] = []

  func run() async -> String {
    while !stopped {
      log.append("turn")
      await Task.yield()
    }
    return threadName()
  }

  private func threadName() -> String {
    let name = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
    return name?.trimmingCharacters(in: .newlines) ?? ""
  }

  func stop() { stopped = true }
  func note(_ text: String) { log.append(text) }
}

@Suite("An actor on a thread of its own")
struct ThreadExecutorTests {
  @Test("runs on that thread, and lets commands in between two turns of its loop")
  func interleaves() async {
    let loop = Loop()
    async let thread = loop.run()
    await loop.note("command")
    await loop.stop()
    let name = await thread
    #expect(name == "loop")
    #expect(await loop.log.contains("command"))
  }

  @Test("runs commands in the order in which they were given")
  func ordered() async {
    let loop = Loop()
    for i in 0..<100 { await loop.note("\(i)") }
    #expect(await loop.log == (0..<100).map { "\($0)" })
  }
}
