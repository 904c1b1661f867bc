import CZeroMQ
import Core
import Glibc

/// How the sockets of a process are protected. One choice for all of them, made where the process is composed.
///
/// Invariant: without keys no socket leaves the machine, neither listening nor connecting, unless a person has asked for
/// `insecure`.
public enum SocketSecurity: Sendable {
  /// In the clear, over loopback and ipc.
  case loopbackOnly
  /// In the clear, over any network: whoever reaches the farm can join it, read it and change its weights.
  case insecure
  /// CURVE: encrypted, each side proved by its key.
  case curve(SocketKeys)

  var keys: SocketKeys? { if case .curve(let keys) = self { keys } else { nil } }

  /// - Throws: `InputError` when bytes in the clear would leave the machine.
  func check(_ endpoint: String, operation: String) throws {
    guard case .loopbackOnly = self, !Endpoint.staysOnThisMachine(endpoint) else { return }
    throw InputError(
      operation, at: endpoint,
      expected: "keys (fovea help keys), loopback or ipc; or --insecure, which lets in whoever reaches this network",
      found: "an address beyond this machine and no keys")
  }
}

/// What a process proves itself with, and whom it believes.
public struct SocketKeys: Sendable {
  var own: KeyPair
  /// Of coordinator and learner.
  public var serverKey: PublicKey
  /// nil on a worker's machine, which lets nobody in.
  var allowListPath: String?
}

/// Endpoints as ZeroMQ writes them: tcp://HOST:PORT, ipc://PATH.
public enum Endpoint {
  /// Whether bytes to or from there stay on this machine. Only numbers and well-known names count: what a name server says
  /// does not.
  public static func staysOnThisMachine(_ endpoint: String) -> Bool {
    if endpoint.hasPrefix("ipc://") || endpoint.hasPrefix("inproc://") { return true }
    guard endpoint.hasPrefix("tcp://"), var host = endpoint.dropFirst(6).split(separator: ";").last,
      let colon = host.lastIndex(of: ":")
    else { return false }
    host = host[..<colon]
    if ["localhost", "lo", "[::1]"].contains(host) { return true }
    var address = in_addr()
    return inet_pton(AF_INET, String(host), &address) == 1 && UInt32(bigEndian: address.s_addr) >> 24 == 127
  }

  /// What to connect to, where a socket listens on all addresses of a machine.
  public static func replacingWildcard(_ endpoint: String, by host: String) -> String {
    for wildcard in ["tcp://0.0.0.0:", "tcp://[::]:"] where endpoint.hasPrefix(wildcard) {
      return "tcp://\(host):" + endpoint.dropFirst(wildcard.count)
    }
    return endpoint
  }
}
