import Support

/// How badly a simulated network behaves.
public struct NetworkFaults: Equatable, Sendable {
  /// Share of packets that are lost.
  public var loss: Float = 0
  /// Share of packets that arrive twice.
  public var duplication: Float = 0
  /// Each copy of a packet takes its own time, so a wide range is also reordering.
  public var delay: ClosedRange<Milliseconds> = 1...3
  public init() {}
  public init(loss: Float, duplication: Float, delay: ClosedRange<Milliseconds>) {
    self.loss = loss
    self.duplication = duplication
    self.delay = delay
  }
}

/// Carries packets between the nodes of a simulation: late, twice, in another order, or not at all.
///
/// Equal seeds and equal calls give equal deliveries. Packets of a cut node are dropped both ways, at the moment of
/// their delivery too.
public struct SimulatedNetwork<Packet: Sendable>: Sendable {
  public struct Delivery: Sendable {
    public var time: Milliseconds
    public var from: Int
    public var to: Int
    public var packet: Packet
    /// The order of sending, which decides between packets of the same moment.
    fileprivate var sequence: UInt64
  }

  public var faults = NetworkFaults()
  private var random: RandomStream
  private var cut: Set<Int> = []
  private var sequence: UInt64 = 0
  /// A binary heap, the earliest first.
  private var heap: [Delivery] = []

  public init(seed: UInt64) { random = RandomStream(seed: seed, purpose: .test, 1) }

  /// Cuts a node off, or connects it again.
  public mutating func setCut(_ node: Int, _ isCut: Bool) {
    if isCut { cut.insert(node) } else { cut.remove(node) }
  }

  public func isCut(_ node: Int) -> Bool { cut.contains(node) }

  public mutating func send(_ packet: Packet, from: Int, to: Int, now: Milliseconds) {
    guard !cut.contains(from), !cut.contains(to) else { return }
    let isLost = random.uniform() < faults.loss
    let copies = random.uniform() < faults.duplication ? 2 : 1
    for _ in 0..<(isLost ? 0 : copies) {
      let span = UInt64(faults.delay.upperBound - faults.delay.lowerBound) + 1
      let time = now + faults.delay.lowerBound + Milliseconds(random.integer(below: span))
      push(Delivery(time: time, from: from, to: to, packet: packet, sequence: sequence))
      sequence += 1
    }
  }

  /// Packets under way.
  public var count: Int { heap.count }

  /// The next packet, when it arrives no later than `limit`. Packets of nodes that are cut by then are lost.
  public mutating func next(until limit: Milliseconds) -> Delivery? {
    while let first = heap.first, first.time <= limit {
      pop()
      if !cut.contains(first.from) && !cut.contains(first.to) { return first }
    }
    return nil
  }

  // MARK: The heap

  private func isBefore(_ a: Int, _ b: Int) -> Bool {
    (heap[a].time, heap[a].sequence) < (heap[b].time, heap[b].sequence)
  }

  private mutating func push(_ delivery: Delivery) {
    heap.append(delivery)
    var i = heap.count - 1
    while i > 0, isBefore(i, (i - 1) / 2) {
      heap.swapAt(i, (i - 1) / 2)
      i = (i - 1) / 2
    }
  }

  private mutating func pop() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var i = 0
    while true {
      var least = i
      for child in [2 * i + 1, 2 * i + 2] where child < heap.count && isBefore(child, least) { least = child }
      if least == i { return }
      heap.swapAt(i, least)
      i = least
    }
  }
}
