/// What a DEALER would send while it has no connection. Bounded in frames and bytes: the oldest goes first, for it is
/// the most outdated; the newest always stays.
struct WaitingFrames {
  static let countMax = 256
  static let byteCountMax = 64 << 20

  private var frames: [ZeroMQFrame] = []
  private var byteCount = 0

  var isEmpty: Bool { frames.isEmpty }
  var first: ZeroMQFrame? { frames.first }

  /// Returns how many frames were dropped for it.
  mutating func append(_ frame: ZeroMQFrame) -> Int {
    frames.append(frame)
    byteCount += frame.bytes.count
    var dropped = 0
    while frames.count > Self.countMax || byteCount > Self.byteCountMax && frames.count > 1 {
      byteCount -= frames.removeFirst().bytes.count
      dropped += 1
    }
    return dropped
  }

  mutating func removeFirst() {
    // A sent frame is empty; its bytes are counted by what remains.
    frames.removeFirst()
    byteCount = frames.reduce(0) { $0 + $1.bytes.count }
  }
}
