import Console
import Support
import Wire

/// `fovea keys`: makes, lists and revokes the keys that processes of a farm know each other by.
enum KeysCommand: Command {
  static let specification = CommandSpecification(
    "keys", "Makes and revokes the keys of a farm that spans machines.",
    options: [
      .option("directory", "FOLDER", "The farm's keys, on the machine of coordinator and learner. Default keys."),
      .option(
        "name", "NAME", "add: the name of a key that was made elsewhere. Default: its first 8 letters and digits."),
      .option("server-key", "KEY", "init: makes a worker's folder, for the farm that has this public key."),
      .flag("json", "list: prints JSON."),
    ],
    operands: .many(name: "init | add NAME | add KEY | revoke NAME | list", summary: "What to do."),
    notes: [
      """
      fovea keys init                                      # once, where coordinator and learner run
      fovea keys add w1                                    # a key for a worker
      scp -rp keys/workers/w1 HOST:keys                    # its folder goes to the worker's machine
      fovea coordinator --keys keys --config configs/arithmetic.yaml farm.listen=tcp://0.0.0.0:5555
      fovea worker --keys keys --connect tcp://HOST:5555   # on the worker's machine
      fovea keys revoke w1                                 # in force within a second, nothing is restarted
      """,
      """
      A secret that never travels: on the worker's machine `fovea keys init --server-key KEY`, and with the key that it
      prints `fovea keys add -- 'KEY'` on the coordinator's. docs/SECURITY.md says what is protected and what is not.
      """,
    ])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let keys = KeyDirectory(arguments["directory"] ?? "keys")
    let words = arguments.operands
    switch (words.first, words.count) {
    case ("init", 1): try create(keys, serverKey: arguments["server-key"])
    case ("add", 2): try add(words[1], name: arguments["name"], to: keys)
    case ("revoke", 2):
      let entry = try keys.revoke(words[1])
      print("revoked \(entry.name) \(entry.key); servers that run notice within a second")
    case ("list", 1): try list(keys, asJSON: arguments.has("json"))
    default:
      throw UsageError(
        "fovea keys takes one of init, add NAME, add KEY, revoke NAME, list",
        hint: "fovea help keys shows how it is used")
    }
    return .success
  }

  private static func create(_ keys: KeyDirectory, serverKey: String?) throws {
    guard let serverKey else {
      try keys.create()
      print("server key \(try keys.serverKey)")
      print("keys are in \(keys.path); the workers of this machine use \(keys.workerPath(KeyDirectory.localName))")
      return
    }
    guard let server = PublicKey(z85: serverKey) else {
      throw UsageError("--server-key takes the 40 characters that `fovea keys list` shows")
    }
    let key = try keys.createWorker(serverKey: server)
    print("keys are in \(keys.path); on the server: fovea keys add --name NAME -- '\(key)'")
  }

  private static func add(_ word: String, name: String?, to keys: KeyDirectory) throws {
    if let key = PublicKey(z85: word) {
      let name = name ?? String(word.filter { $0.isLetter || $0.isNumber }.prefix(8))
      try keys.add(key, name: name)
      print("\(name) may connect")
    } else {
      if name != nil { throw UsageError("--name goes with a key, and \"\(word)\" is a name") }
      try keys.addWorker(word)
      print("\(word) may connect; its folder for the worker's machine is \(keys.workerPath(word))")
    }
  }

  private static func list(_ keys: KeyDirectory, asJSON: Bool) throws {
    let server = try keys.serverKey
    let entries = try keys.allowList.entries
    if asJSON {
      let json = JSON.object([
        "server": .string("\(server)"),
        "allowed": .array(entries.map { .object(["name": .string($0.name), "key": .string("\($0.key)")]) }),
      ])
      print(String(decoding: json.serialized(pretty: true), as: UTF8.self))
    } else {
      for line in CommandSpecification.table([("server", "\(server)")] + entries.map { ($0.name, "\($0.key)") }) {
        print(line)
      }
    }
  }
}
