import Foundation

/// A queue between threads: any thread posts; one thread takes all elements, or several take one each. A role's event
/// loop and its computing threads communicate through it.
///
/// A computing thread may block in it; an event loop only polls. Bounded by its users: each posts a bounded number of
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

  /// Takes all elements, in order, without blocking.
  public func take() -> [Element] { condition.withLock { removeAll() } }

  /// Blocks until there is an element. Not for Swift's cooperative threads.
  /// - Returns: all elements, in order; nil once the mailbox is closed and empty.
  public func wait() -> [Element]? {
    condition.withLock {
      while elements.isEmpty && !closed { condition.wait() }
      return elements.isEmpty ? nil : removeAll()
    }
  }

  /// Blocks until there is an element. Several threads may wait; each element goes to one of them.
  /// - Returns: the first element; nil once the mailbox is closed and empty.
  public func waitForOne() -> Element? {
    condition.withLock {
      while elements.isEmpty && !closed { condition.wait() }
      return elements.isEmpty ? nil : elements.removeFirst()
    }
  }

  /// Ends the queue: no more elements are accepted.
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
