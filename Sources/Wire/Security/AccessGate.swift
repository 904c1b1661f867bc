import Support

/// Which keys may connect: the decisions of a server's ZAP handler (RFC 27), as a pure value.
///
/// Everything that is not admitted by name is refused: another mechanism, an unlisted key, a malformed request.
package struct AccessGate: Sendable {
  /// The handler's question: a peer has proved that it owns a key.
  package struct Request: Equatable {
    package var id: [UInt8]
    /// The socket that it wants to talk to.
    package var domain: String
    /// The peer's numeric address; it is not authenticated.
    package var address: String
    /// nil when the mechanism is another one than CURVE.
    package var key: PublicKey?

    /// - Parameter frames: version, request id, domain, address, identity, mechanism, credentials.
    package init?(_ frames: [[UInt8]]) {
      guard frames.count >= 6, frames[0] == Array("1.0".utf8) else { return nil }
      func text(_ index: Int) -> String { String(String(decoding: frames[index], as: UTF8.self).prefix(256)) }
      id = frames[1]
      domain = text(2)
      address = text(3)
      let isCurve = text(5) == "CURVE" && frames.count == 7 && frames[6].count == PublicKey.byteCount
      key = isCurve ? PublicKey(bytes: frames[6]) : nil
    }
  }

  package enum Judgement: Equatable {
    /// The name of the key, for people.
    case admitted(String)
    case refused(String)
  }

  /// How long a key is banned after a violation by its owner.
  package static let banMilliseconds: Milliseconds = 60_000
  package static let serverName = "the server's own key"

  package let serverKey: PublicKey
  package var allowed: AllowList
  private var bannedUntil: [PublicKey: Milliseconds] = [:]

  package init(serverKey: PublicKey, allowed: AllowList) {
    self.serverKey = serverKey
    self.allowed = allowed
  }

  package func judge(_ key: PublicKey?, now: Milliseconds) -> Judgement {
    guard let key else { return .refused("no CURVE key") }
    if key == serverKey { return .admitted(Self.serverName) }
    guard let name = allowed.name(of: key) else { return .refused("key \(key) is not in the allow-list") }
    if let until = bannedUntil[key], now < until { return .refused("key \(name) is banned for a minute") }
    return .admitted(name)
  }

  /// Bans a listed key for a while. The server's own is never banned.
  package mutating func ban(_ key: PublicKey, now: Milliseconds) {
    guard key != serverKey, allowed.name(of: key) != nil else { return }
    bannedUntil = bannedUntil.filter { $0.value > now }
    bannedUntil[key] = now + Self.banMilliseconds
  }

  /// The handler's answer: version, request id, status, text, user id, metadata. The user id is the key, for a name may
  /// pass to another key.
  package func reply(to request: Request, now: Milliseconds) -> (frames: [[UInt8]], judgement: Judgement) {
    let judgement = judge(request.key, now: now)
    let (status, text, user) =
      switch judgement {
      case .admitted(let name): ("200", name, request.key.map { "\($0)" } ?? "")
      case .refused: ("400", "refused", "")
      }
    return (["1.0"].map { Array($0.utf8) } + [request.id] + [status, text, user, ""].map { Array($0.utf8) }, judgement)
  }
}
