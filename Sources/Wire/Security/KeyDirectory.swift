import CZeroMQ
import Glibc
import Support

/// The folder of a farm's keys, on the machine of coordinator and learner:
///
///     server.key_secret       the server's key pair, of coordinator and learner; never leaves
///     server.key              its public key
///     allowed.keys            who may connect (`AllowList`)
///     workers/NAME/           what a worker needs: copied to its machine, where it is --keys
///         worker.key_secret
///         worker.key
///         server.key
///
/// A worker's folder may also be made on the worker's machine, so that its secret never travels.
public struct KeyDirectory: Sendable {
  public let path: String

  public init(_ path: String) {
    var path = path
    while path.count > 1, path.last == "/" { path.removeLast() }
    self.path = path
  }

  /// The name of the key that `fovea train` gives its workers.
  public static let localName = "local"

  public var allowListPath: String { path + "/allowed.keys" }
  public func workerPath(_ name: String) -> String { "\(path)/workers/\(name)" }
  private var serverSecretPath: String { path + "/server.key_secret" }
  private var serverPublicPath: String { path + "/server.key" }
  private var workerSecretPath: String { path + "/worker.key_secret" }

  /// Makes the server's keys, an allow-list, and the key of this machine's workers.
  /// - Throws: `InputError` when there are keys already: new ones would lock everybody out.
  public func create() throws {
    try Self.checkSupport()
    try refuseExisting(serverSecretPath)
    try Files.makeFolder(path, parents: false)
    try Files.makeFolder(path + "/workers", parents: false)
    let pair = KeyPair.generate()
    try PrivateFile.write(AllowList().text, to: allowListPath)
    try KeyFile.write(pair.publicKey, name: "server", to: serverPublicPath)
    try KeyFile.write(pair, name: "server", toSecret: serverSecretPath)
    try addWorker(Self.localName)
  }

  /// Makes a worker's key on the worker's own machine.
  /// - Returns: its public key, for the server's allow-list.
  public func createWorker(serverKey: PublicKey) throws -> PublicKey {
    try Self.checkSupport()
    try refuseExisting(workerSecretPath)
    try Files.makeFolder(path, parents: false)
    let pair = KeyPair.generate()
    try KeyFile.write(pair.publicKey, name: "worker", to: path + "/worker.key")
    try KeyFile.write(serverKey, name: "server", to: serverPublicPath)
    try KeyFile.write(pair, name: "worker", toSecret: workerSecretPath)
    return pair.publicKey
  }

  /// Makes a key and a folder for a worker, and lists the key.
  public func addWorker(_ name: String) throws {
    try checkName(name)
    let server = try serverPair.publicKey
    var list = try allowList
    // Before anything is made: the name may be taken.
    var trial = list
    try trial.add(KeyPair.generate().publicKey, name: name, place: allowListPath)
    let folder = KeyDirectory(workerPath(name))
    let key = try folder.createWorker(serverKey: server)
    try list.add(key, name: name, place: allowListPath)
    try PrivateFile.write(list.text, to: allowListPath)
  }

  /// Lists a key that was made elsewhere.
  public func add(_ key: PublicKey, name: String) throws {
    try checkName(name)
    var list = try allowList
    try list.add(key, name: name, place: allowListPath)
    try PrivateFile.write(list.text, to: allowListPath)
  }

  /// Takes a key off the list, by its name or by itself. Servers that run notice within a second.
  public func revoke(_ nameOrKey: String) throws -> AllowList.Entry {
    var list = try allowList
    guard let entry = list.remove(nameOrKey) else {
      throw InputError(
        "revoke key", at: allowListPath, expected: "a name or key of the list (fovea keys list)", found: nameOrKey)
    }
    try PrivateFile.write(list.text, to: allowListPath)
    // Its name may be given again, to another key.
    let folder = workerPath(entry.name)
    for name in ["worker.key_secret", "worker.key", "server.key"] { Files.remove("\(folder)/\(name)") }
    rmdir(folder)
    return entry
  }

  public var allowList: AllowList { get throws { try AllowList.read(allowListPath) } }
  public var serverKey: PublicKey { get throws { try KeyFile.readPublic(serverPublicPath) } }

  // MARK: What a process takes from it

  /// The security of coordinator and learner.
  /// - Throws: `InputError` for missing, malformed or unprotected files.
  public func serverSecurity() throws -> SocketSecurity {
    try Self.checkSupport()
    let pair = try serverPair
    // Read now, so that what is wrong with it is the starter's error.
    _ = try allowList
    return .curve(SocketKeys(own: pair, serverKey: pair.publicKey, allowListPath: allowListPath))
  }

  /// The security of a client: a worker, or `fovea status`. Takes the folder's worker key, else the server's.
  public func clientSecurity() throws -> SocketSecurity {
    try Self.checkSupport()
    let isServer = access(workerSecretPath, F_OK) != 0 && access(serverSecretPath, F_OK) == 0
    let pair = try isServer ? serverPair : KeyFile.readSecret(workerSecretPath)
    return .curve(SocketKeys(own: pair, serverKey: try serverKey, allowListPath: nil))
  }

  private var serverPair: KeyPair {
    get throws {
      let pair = try KeyFile.readSecret(serverSecretPath)
      let known = try serverKey
      guard pair.publicKey == known else {
        throw InputError(
          "read key", at: serverPublicPath, expected: "the public key of server.key_secret, \(pair.publicKey)",
          found: "\(known)")
      }
      return pair
    }
  }

  private func checkName(_ name: String) throws {
    guard AllowList.isName(name) else {
      throw InputError(
        "add key", at: allowListPath,
        expected: "a name of 1 to 32 letters, digits, dots, hyphens and underscores, or a key of 40 characters",
        found: "\"\(name)\"")
    }
  }

  private func refuseExisting(_ path: String) throws {
    if access(path, F_OK) == 0 {
      throw InputError("create keys", at: path, expected: "a folder without keys", found: "keys")
    }
  }

  private static func checkSupport() throws {
    guard zmq_has("curve") == 1 else {
      throw InputError("use keys", at: "libzmq", expected: "a libzmq with CURVE", found: "one without")
    }
  }
}
