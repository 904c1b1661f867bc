/// Where a message came from and where its answer goes: the routing identity that a ROUTER socket gives to a peer.
///
/// It names a connection, not a process: a peer that connects again has another one.
public struct PeerAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var bytes: [UInt8]
  /// The public key that the peer has proved; empty in the clear. It follows from the connection, so it takes no part
  /// in comparisons.
  public var owner: String

  public init(bytes: [UInt8], owner: String = "") {
    self.bytes = bytes
    self.owner = owner
  }

  /// The one peer of a DEALER.
  public static let server = PeerAddress(bytes: [])

  public static func == (a: Self, b: Self) -> Bool { a.bytes == b.bytes }
  public func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
  public static func < (a: Self, b: Self) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }
  /// Hexadecimal, bounded: a peer may choose 255 bytes.
  public var description: String {
    if bytes.isEmpty { return "server" }
    let start = bytes.prefix(8).map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
    return bytes.count > 8 ? start + "..." : start
  }
}
