import Foundation

/// A queue between threads: many post, and one takes all that waits, or several take one each. It is how a role's event
/// loop and its computing threads talk.
///
/// A computing thread may wait in it, an event loop only looks. Bounded by its users: each posts a bounded number of
/// elements for each one that it takes.
///
/// `@unchecked Sendable`: `elements` and `closed` are only touched under the condition's lock.
public final class Mailbox<Element: Sendable>: @unchecked Sendable {
  private let condition = NSCondition()
  private var elements: [Element] = []
  private var closed = false

  public init() {}

  /// Adds an element; after `close` it is dropped.
  public func post(_ element: Element) {
    condition.withLock {
      if closed { return }
      elements.append(element)
      condition.signal()
    }
  }

  /// What waits, in order; never blocks.
  public func take() -> [Element] { condition.withLock { removeAll() } }

  /// Blocks until something is there. Not for Swift's cooperative threads.
  /// - Returns: what waits, in order; nil once the mailbox is closed and empty.
  public func wait() -> [Element]? {
    condition.withLock {
      while elements.isEmpty && !closed { condition.wait() }
      return elements.isEmpty ? nil : removeAll()
    }
  }

  /// Blocks until something is there. Several threads may wait; each element goes to one of them.
  /// - Returns: the first that waits; nil once the mailbox is closed and empty.
  public func waitForOne() -> Element? {
    condition.withLock {
      while elements.isEmpty && !closed { condition.wait() }
      return elements.isEmpty ? nil : elements.removeFirst()
    }
  }

  /// No more elements will come.
  public func close() {
    condition.withLock {
      closed = true
      condition.broadcast()
    }
  }

  public var isClosed: Bool { condition.withLock { closed } }

  private func removeAll() -> [Element] {
    defer { elements.removeAll(keepingCapacity: true) }
    return elements
  }
}
