/// A priority queue: the least element first, a push or a pop in log n steps.
struct BinaryHeap<Element: Comparable> {
  private var elements: [Element] = []

  mutating func removeAll() { elements.removeAll(keepingCapacity: true) }

  mutating func push(_ element: Element) {
    elements.append(element)
    var at = elements.count - 1
    while at > 0, element < elements[(at - 1) / 2] {
      elements[at] = elements[(at - 1) / 2]
      at = (at - 1) / 2
    }
    elements[at] = element
  }

  mutating func pop() -> Element? {
    guard let first = elements.first, let last = elements.popLast() else { return nil }
    if elements.isEmpty { return first }
    var at = 0
    while true {
      var child = 2 * at + 1
      guard child < elements.count else { break }
      if child + 1 < elements.count, elements[child + 1] < elements[child] { child += 1 }
      guard elements[child] < last else { break }
      elements[at] = elements[child]
      at = child
    }
    elements[at] = last
    return first
  }
}
