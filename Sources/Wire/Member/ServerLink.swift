import Support

/// The state of a role's connection to a server, and when trying on is pointless. Pure.
public struct ServerLink: Equatable, Sendable {
  /// How long a server may end every handshake: it may be one that is just ending, or a tunnel without one behind it.
  public static let failingMax: Milliseconds = 20_000

  public private(set) var state = LinkState.down
  private var since: Milliseconds = 0

  public init() {}

  public mutating func on(_ state: LinkState, now: Milliseconds) {
    if state != self.state { since = now }
    self.state = state
  }

  /// Why the connection is hopeless: the server has refused this process, or ends every handshake for too long.
  /// - Returns: nil while it is not.
  public func end(now: Milliseconds) -> String? {
    switch state {
    case .up, .down, .silent: nil
    case .refused(let reason): reason
    case .failing(let reason): now - since >= Self.failingMax ? reason : nil
    }
  }
}
