import Foundation
import Support
import Testing
import Wire

/// A folder of its own, gone when it is.
final class KeyFolder {
  let path: String
  var keys: KeyDirectory { KeyDirectory(path + "/keys") }

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "fovea-keys-\(UUID())").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func text(_ name: String) throws -> String { try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) }

  func write(_ text: String, to name: String, mode: Int = 0o600) throws {
    try text.write(toFile: "\(path)/\(name)", atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: "\(path)/\(name)")
  }

  /// Every file and folder below, with its mode.
  var modes: [String: Int] {
    var modes: [String: Int] = [:]
    for case let name as String in FileManager.default.enumerator(atPath: path) ?? .init() {
      modes[name] = (try? FileManager.default.attributesOfItem(atPath: "\(path)/\(name)"))?[.posixPermissions] as? Int
    }
    return modes
  }
}

@Suite("Keys") struct KeyTests {
  @Test("Keys are text and back, and nothing but a key is one")
  func text() throws {
    let key = KeyPair.generate().publicKey
    #expect(PublicKey(z85: "\(key)") == key)
    #expect("\(key)".utf8.count == 40)
    // RFC 32's test case, of a key's length: its 8 bytes four times.
    let word = "HelloWorld"
    #expect(
      PublicKey(z85: word + word + word + word)?.bytes
        == Array(repeating: [0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B], count: 4).flatMap { $0 })
    for wrong in ["", "HelloWorld", "\(key)x", String("\(key)".dropLast()) + " ", String(repeating: "#", count: 40)] {
      #expect(PublicKey(z85: wrong) == nil, "\(wrong)")
    }
  }

  @Test("No way of printing a pair shows its secret")
  func printing() {
    let pair = KeyPair.generate()
    var dumped = ""
    dump(pair, to: &dumped)
    for text in ["\(pair)", String(reflecting: pair), dumped, "\([pair])"] {
      #expect(!text.contains(pair.secretText), "\(text)")
    }
  }

  @Test("A farm's keys are files of their owner alone, in ZeroMQ's certificate format")
  func files() throws {
    let folder = try KeyFolder()
    try folder.keys.create()
    try folder.keys.addWorker("w1")
    for (name, mode) in folder.modes {
      let isFolder = ["keys", "keys/workers", "keys/workers/local", "keys/workers/w1"].contains(name)
      #expect(mode == (isFolder ? 0o700 : 0o600), "\(name) has mode \(String(mode, radix: 8))")
    }
    #expect(folder.modes.count == 13)
    let secret = try folder.text("keys/server.key_secret")
    #expect(secret.contains("\ncurve\n    public-key = \"\(try folder.keys.serverKey)\"\n    secret-key = \""))
    #expect(!(try folder.text("keys/server.key")).contains("secret"))
    #expect(try folder.keys.allowList.entries.map(\.name) == ["local", "w1"])
    // A worker's folder holds the server's public key, and no other secret than its own.
    #expect(try KeyDirectory(folder.keys.workerPath("w1")).serverKey == folder.keys.serverKey)
    #expect(throws: InputError.self) { try KeyDirectory(folder.keys.workerPath("w1")).serverSecurity() }
    _ = try KeyDirectory(folder.keys.workerPath("w1")).clientSecurity()
    _ = try folder.keys.serverSecurity()
  }

  @Test("Making keys again, and names that are taken or no names, change nothing")
  func refusals() throws {
    let folder = try KeyFolder()
    try folder.keys.create()
    try folder.keys.addWorker("w1")
    let before = try (folder.text("keys/server.key_secret"), folder.text("keys/allowed.keys"), folder.modes.count)
    #expect(throws: InputError.self) { try folder.keys.create() }
    for name in ["w1", "", "../w2", ".w", "-w", "a b", "é", String(repeating: "a", count: 33), "w\n1"] {
      #expect(throws: InputError.self, "\(name)") { try folder.keys.addWorker(name) }
    }
    let key = KeyPair.generate().publicKey
    try folder.keys.add(key, name: "other")
    #expect(throws: InputError.self) { try folder.keys.add(key, name: "again") }
    #expect(try folder.keys.revoke("\(key)").name == "other")
    #expect(throws: InputError.self) { try folder.keys.revoke("other") }
    #expect(try folder.text("keys/server.key_secret") == before.0)
    #expect(try folder.text("keys/allowed.keys") == before.1)
    #expect(folder.modes.count == before.2)
  }

  @Test("A revoked name may be given again, to another key")
  func revoking() throws {
    let folder = try KeyFolder()
    try folder.keys.create()
    try folder.keys.addWorker("w1")
    let first = try #require(folder.keys.allowList.entries.last?.key)
    #expect(try folder.keys.revoke("w1").key == first)
    try folder.keys.addWorker("w1")
    #expect(try folder.keys.allowList.entries.last?.key != first)
  }

  @Test(
    "A secret that others may read is refused, with the command that mends it", arguments: [0o640, 0o604, 0o666, 0o620])
  func permissions(mode: Int) throws {
    let folder = try KeyFolder()
    try folder.keys.create()
    let path = folder.keys.path + "/server.key_secret"
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    let error = #expect(throws: InputError.self) { try folder.keys.serverSecurity() }
    #expect(error?.expected.contains("chmod 600 \(path)") == true)
    #expect(error?.found.contains(String(mode, radix: 8)) == true)
  }

  @Test(
    "A key file that is none is refused without showing what is in it",
    arguments: [
      "", "secret", "curve\n    secret-key = \"short\"\n", "curve\n    public-key = \"x\"\n",
      "curve\nsecret-key = \"\(KeyPair.generate().secretText)\"\n",
      "curve\n    public-key = \"\(KeyPair.generate().publicKey)\"\n    secret-key = \"\(KeyPair.generate().secretText)\"\n",
    ])
  func wrongFiles(text: String) throws {
    let folder = try KeyFolder()
    try folder.keys.create()
    try folder.write(text, to: "keys/server.key_secret")
    let error = #expect(throws: InputError.self) { try folder.keys.serverSecurity() }
    for line in text.split(separator: "\"") where line.utf8.count == 40 && !text.contains("public-key = \"\(line)") {
      #expect(!"\(error.map { "\($0)" } ?? "")".contains(line))
    }
  }

  @Test("Another server's public key beside the server's secret is noticed")
  func mixedUp() throws {
    let folder = try KeyFolder()
    try folder.keys.create()
    try folder.write(
      "curve\n    public-key = \"\(KeyPair.generate().publicKey)\"\n", to: "keys/server.key")
    #expect(throws: InputError.self) { try folder.keys.serverSecurity() }
  }

  @Test("The allow-list names the line that is wrong")
  func allowList() throws {
    let (a, b) = (KeyPair.generate().publicKey, KeyPair.generate().publicKey)
    let list = try AllowList(text: "# comment\n\n a \(a) \nb\t\(b)\n", place: "list")
    #expect(list.entries.map(\.name) == ["a", "b"])
    #expect(list.name(of: b) == "b")
    #expect(try AllowList(text: list.text, place: "list") == list)
    for wrong in ["a", "a \(a) more", "a notakey", "a \(a)\na \(b)", "a \(a)\nb \(a)", "../a \(a)"] {
      let error = #expect(throws: InputError.self, "\(wrong)") { try AllowList(text: wrong, place: "list") }
      #expect(error?.place.hasPrefix("list:") == true)
    }
  }
}

@Suite("Access") struct AccessTests {
  private static let server = KeyPair.generate().publicKey
  private static let worker = KeyPair.generate().publicKey
  private static let stranger = KeyPair.generate().publicKey

  private static func gate() throws -> AccessGate {
    AccessGate(serverKey: server, allowed: try AllowList(text: "w1 \(worker)", place: "list"))
  }

  /// What libzmq sends to the handler.
  private static func frames(
    version: String = "1.0", mechanism: String = "CURVE", credentials: [[UInt8]]
  ) -> [[UInt8]] {
    [version, "7", "control", "10.0.0.9", "", mechanism].map { Array($0.utf8) } + credentials
  }

  @Test(
    "Only a listed key, proved by CURVE, is let in, and the answer names it",
    arguments: [
      ("CURVE", [worker.bytes], "200"), ("CURVE", [server.bytes], "200"), ("CURVE", [stranger.bytes], "400"),
      ("CURVE", [Array(worker.bytes.dropLast())], "400"), ("CURVE", [worker.bytes + [0]], "400"), ("CURVE", [], "400"),
      ("CURVE", [worker.bytes, worker.bytes], "400"), ("PLAIN", [worker.bytes], "400"), ("NULL", [], "400"),
    ] as [(String, [[UInt8]], String)])
  func answers(mechanism: String, credentials: [[UInt8]], status: String) throws {
    let request = try #require(AccessGate.Request(Self.frames(mechanism: mechanism, credentials: credentials)))
    #expect(request.domain == "control")
    #expect(request.address == "10.0.0.9")
    let reply = try Self.gate().reply(to: request, now: 0).frames.map { String(decoding: $0, as: UTF8.self) }
    #expect(reply.count == 6)
    #expect(reply[0] == "1.0")
    #expect(reply[1] == "7")
    #expect(reply[2] == status)
    // RFC 27: the user id of an answer that lets nobody in is empty.
    #expect(reply[4] == (status == "200" ? "\(PublicKey(bytes: credentials[0]))" : ""))
  }

  @Test("A question of another version or shape is none")
  func malformedRequests() {
    #expect(AccessGate.Request(Self.frames(version: "2.0", credentials: [])) == nil)
    #expect(AccessGate.Request([]) == nil)
    #expect(AccessGate.Request([Array("1.0".utf8)]) == nil)
  }

  @Test("A key whose owner misbehaved stays out for a minute; the server's own never does")
  func ban() throws {
    var gate = try Self.gate()
    gate.ban(Self.worker, now: 1000)
    gate.ban(Self.server, now: 1000)
    #expect(gate.judge(Self.worker, now: 60_999) == .refused("key w1 is banned for a minute"))
    #expect(gate.judge(Self.worker, now: 61_000) == .admitted("w1"))
    #expect(gate.judge(Self.server, now: 1001) == .admitted(AccessGate.serverName))
  }

  @Test(
    "Only numbers and well-known names count as this machine",
    arguments: [
      ("tcp://127.0.0.1:5555", true), ("tcp://127.9.9.9:*", true), ("tcp://localhost:1", true), ("tcp://[::1]:1", true),
      ("ipc:///tmp/x", true), ("tcp://0.0.0.0:5555", false), ("tcp://*:5555", false), ("tcp://10.0.0.1:5555", false),
      ("tcp://127.0.0.1.example.org:1", false), ("tcp://localhost.example.org:1", false), ("tcp://[::]:1", false),
      ("tcp://128.0.0.1:1", false), ("tcp://127.1:1", false), ("tcp://127.0.0.1;10.0.0.1:1", false), ("tcp://", false),
      ("udp://127.0.0.1:1", false), ("", false),
    ])
  func loopback(endpoint: String, stays: Bool) {
    #expect(Endpoint.staysOnThisMachine(endpoint) == stays)
  }
}

@Suite("Peers of a server") struct PeerLedgerTests {
  private let peer = PeerAddress(bytes: [1])

  @Test("A peer may send as much as any honest one does, and is cut when it sends more for long")
  func flood() {
    var ledger = PeerLedger()
    ledger.add(peer, now: 0)
    // Honest: 900 a second for a minute, then a burst after a hang.
    for index in 0..<54_000 { #expect(ledger.arrived(from: peer, now: Int64(index) * 60_000 / 54_000) == .read) }
    var verdicts: [PeerLedger.Verdict] = []
    for _ in 0..<30_000 { verdicts.append(ledger.arrived(from: peer, now: 70_000)) }
    #expect(verdicts.prefix(PeerLedger.burst).allSatisfy { $0 == .read })
    let told = verdicts.filter { $0 != .read && $0 != .ignore }
    #expect(told.count == 2)
    guard case .complain = told.first, case .cut = told.last else { return #expect(Bool(false), "\(told)") }
    #expect(verdicts.last == .ignore)
    #expect(ledger[peer]?.isShut == true)
    // Time heals a connection that is not cut, and no other.
    #expect(ledger.arrived(from: peer, now: 1_000_000) == .ignore)
  }

  @Test("Malformed frames are told of once, and cut a peer at the eighth")
  func malformed() {
    var ledger = PeerLedger()
    ledger.add(peer, now: 0)
    #expect(ledger.malformed(from: peer, reason: "bad") == .complain("bad"))
    for _ in 0..<6 { #expect(ledger.malformed(from: peer, reason: "bad") == nil) }
    guard case .cut(let reason)? = ledger.malformed(from: peer, reason: "bad") else {
      return #expect(Bool(false), "not cut")
    }
    #expect(reason.contains("8 malformed"))
    #expect(ledger.arrived(from: peer, now: 10_000) == .ignore)
  }

  @Test("However many peers come and go, the ledger stays bounded and keeps the newest")
  func bounded() {
    var ledger = PeerLedger()
    func peer(_ index: Int) -> PeerAddress { PeerAddress(bytes: [UInt8(index >> 8), UInt8(index & 255)]) }
    for index in 0..<20_000 { ledger.add(peer(index), now: Int64(index)) }
    #expect(ledger.records.count <= PeerLedger.recordsMax)
    #expect(ledger[peer(19_999)] != nil)
    #expect(ledger[peer(0)] == nil)
  }
}
