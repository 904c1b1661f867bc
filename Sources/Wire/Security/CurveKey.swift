import CZeroMQ

/// Curve25519 keys, by which processes know each other (CurveZMQ, RFC 26). As text they are Z85: 40 printable
/// characters.

/// The key that others know its owner by.
public struct PublicKey: Hashable, Sendable, CustomStringConvertible {
  package static let byteCount = 32
  static let textCount = 40
  package let bytes: [UInt8]

  package init(bytes: [UInt8]) {
    precondition(bytes.count == Self.byteCount, "a key of \(bytes.count) bytes")
    self.bytes = bytes
  }

  /// nil for what is no key in Z85.
  public init?(z85 text: String) {
    guard let bytes = Z85.decode(text) else { return nil }
    self.bytes = bytes
  }

  /// Z85.
  public var description: String { Z85.encode(bytes) }
}

/// A public key and the secret one that proves it. Printing it, in whatever way, shows the public key only.
public struct KeyPair: Sendable, CustomStringConvertible, CustomReflectable {
  public let publicKey: PublicKey
  let secret: [UInt8]

  /// A pair from the system's random numbers.
  public static func generate() -> KeyPair {
    var (publicText, secretText) = ([CChar](repeating: 0, count: 41), [CChar](repeating: 0, count: 41))
    precondition(zmq_curve_keypair(&publicText, &secretText) == 0, "libzmq has no CURVE: \(zeroMQErrorText())")
    guard let publicKey = Z85.decode(text(publicText)), let secret = Z85.decode(text(secretText)) else {
      preconditionFailure("libzmq made invalid keys")
    }
    return KeyPair(publicKey: PublicKey(bytes: publicKey), secret: secret)
  }

  init(publicKey: PublicKey, secret: [UInt8]) {
    self.publicKey = publicKey
    self.secret = secret
  }

  /// The pair of a secret key in Z85; nil when it is none.
  init?(secretZ85 secretText: String) {
    guard let secret = Z85.decode(secretText) else { return nil }
    var publicText = [CChar](repeating: 0, count: 41)
    guard zmq_curve_public(&publicText, secretText) == 0, let publicKey = Z85.decode(Self.text(publicText)) else {
      return nil
    }
    self.init(publicKey: PublicKey(bytes: publicKey), secret: secret)
  }

  /// Z85 of the secret key; for the owner's file alone.
  package var secretText: String { Z85.encode(secret) }

  public var description: String { "the key pair of \(publicKey)" }
  public var customMirror: Mirror { Mirror(self, children: ["publicKey": publicKey]) }

  private static func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// ZeroMQ's Base-85 of a key (RFC 32).
enum Z85 {
  static func encode(_ bytes: [UInt8]) -> String {
    precondition(bytes.count % 4 == 0, "\(bytes.count) bytes")
    let characters = [UInt8](unsafeUninitializedCapacity: bytes.count / 4 * 5 + 1) { buffer, count in
      buffer.withMemoryRebound(to: CChar.self) { _ = zmq_z85_encode($0.baseAddress, bytes, bytes.count) }
      count = bytes.count / 4 * 5
    }
    return String(decoding: characters, as: UTF8.self)
  }

  /// The 32 bytes of a key; nil for anything else. What is accepted encodes back to the same text.
  static func decode(_ text: String) -> [UInt8]? {
    guard text.utf8.count == PublicKey.textCount, text.utf8.allSatisfy({ (33...126).contains($0) }) else { return nil }
    var isDecoded = false
    let bytes = [UInt8](unsafeUninitializedCapacity: PublicKey.byteCount) { buffer, count in
      isDecoded = zmq_z85_decode(buffer.baseAddress, text) != nil
      count = isDecoded ? PublicKey.byteCount : 0
    }
    return isDecoded && encode(bytes) == text ? bytes : nil
  }
}

extension ZeroMQFrame {
  /// The key that the sender has proved, by the ZAP handler's answer; nil in the clear.
  var key: PublicKey? { userID.flatMap { PublicKey(z85: $0) } }
}
