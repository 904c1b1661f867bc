import Support

/// How the sockets of a process are protected. One choice for all of them, made where the process is composed.
///
/// Invariant: without keys no socket leaves the machine, neither listening nor connecting, unless a person has asked
/// for `insecure`.
public enum SocketSecurity: Sendable {
  /// In the clear, over loopback and ipc.
  case loopbackOnly
  /// In the clear, over any network: anyone who reaches the farm can join it, read it and change its weights.
  case insecure
  /// CURVE: encrypted, each side proved by its key.
  case curve(SocketKeys)

  var keys: SocketKeys? { if case .curve(let keys) = self { keys } else { nil } }

  /// - Throws: `InputError` when bytes in the clear would leave the machine.
  func check(_ endpoint: String, operation: String) throws {
    guard case .loopbackOnly = self, !Endpoint.staysOnThisMachine(endpoint) else { return }
    throw InputError(
      operation, at: endpoint,
      expected: "keys (fovea help keys), loopback or ipc; or --insecure, which lets in anyone on this network",
      found: "an address beyond this machine and no keys")
  }
}

/// The keys that a process authenticates itself with, and those that it accepts.
public struct SocketKeys: Sendable {
  var own: KeyPair
  /// The public key of coordinator and learner.
  public var serverKey: PublicKey
  /// nil on a worker's machine, which accepts no connections.
  var allowListPath: String?
}
