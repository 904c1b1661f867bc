import Support

/// What a role keeps of its line to a server, and when there is no sense in trying on. Pure.
public struct ServerLink: Equatable, Sendable {
  /// A server that ends every handshake may be one that is just ending, or a tunnel without one behind it.
  public static let failingMax: Milliseconds = 20_000

  public private(set) var state = LinkState.down
  private var since: Milliseconds = 0

  public init() {}

  public mutating func on(_ state: LinkState, now: Milliseconds) {
    if state != self.state { since = now }
    self.state = state
  }

  /// Why it is over: the server has refused this process, or ends every handshake for too long.
  public func end(now: Milliseconds) -> String? {
    switch state {
    case .up, .down, .silent: nil
    case .refused(let reason): reason
    case .failing(let reason): now - since >= Self.failingMax ? reason : nil
    }
  }
}
