import Foundation
import Glibc
import Testing

/// Machines on this machine: network namespaces, each with an address of its own, on a bridge that stands in a
/// namespace as well. Nothing of the host's network is touched, and no packet leaves.
///
/// Faults are made where they happen outside too: nftables drops the packets between two machines, tc's token bucket
/// makes a link slow. All of it goes with this object, or, when its process is killed first, with the next one that
/// makes a network: names carry the process id.
final class TestNetwork: Sendable {
  struct Machine: Sendable {
    let name: String
    let address: String
    fileprivate let namespace: String
    /// Of the bridge.
    fileprivate let port: String
    /// What a command line begins with to run here.
    var prefix: [String] { ["ip", "netns", "exec", namespace] }
  }

  /// Whether this machine can play a network: root, with iproute2 and nftables.
  static let isAvailable: Bool = {
    guard getuid() == 0, let probe = try? TestNetwork(["a", "b"]) else { return false }
    return (try? probe.cut(probe["a"], from: probe["b"])) != nil
  }()

  static let needs: Comment = "needs root, iproute2 and nftables, which make faults installs"

  private let hub: String
  private let machines: [Machine]

  init(_ names: [String]) throws {
    _ = Self.isSwept
    let prefix = "fovea-\(getpid())-\(UUID().uuidString.prefix(8))"
    let hub = "\(prefix)-hub"
    self.hub = hub
    machines = names.enumerated().map { index, name in
      Machine(
        name: name, address: "10.77.0.\(index + 1)", namespace: "\(prefix)-\(name)", port: "port\(index + 1)")
    }
    try command("ip", "netns", "add", hub)
    try command("ip", "-n", hub, "link", "add", "bridge", "type", "bridge")
    try command("ip", "-n", hub, "link", "set", "bridge", "up")
    for machine in machines {
      let (namespace, port) = (machine.namespace, machine.port)
      try command("ip", "netns", "add", namespace)
      try command(
        "ip", "-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace)
      try command("ip", "-n", hub, "link", "set", port, "master", "bridge", "up")
      try command("ip", "-n", namespace, "address", "add", "\(machine.address)/24", "dev", "eth0")
      for device in ["lo", "eth0"] { try command("ip", "-n", namespace, "link", "set", device, "up") }
    }
  }

  deinit {
    for namespace in machines.map(\.namespace) + [hub] { _ = try? command("ip", "netns", "delete", namespace) }
  }

  private static let isSwept: Bool = {
    sweep()
    return true
  }()

  /// Deletes the namespaces of processes that are gone.
  static func sweep() {
    for namespace in namespaces {
      guard let owner = namespace.firstMatch(of: #/^fovea-([0-9]+)-[0-9A-F]{8}-/#).flatMap({ pid_t($0.1) }),
        kill(owner, 0) != 0, errno == ESRCH
      else { continue }
      _ = try? command("ip", "netns", "delete", namespace)
    }
  }

  /// Names of all namespaces of this machine.
  static var namespaces: [String] {
    // A namespace that is linked to another is followed by its number.
    let lines = (try? command("ip", "netns", "list"))?.split(separator: "\n") ?? []
    return lines.compactMap { $0.split(separator: " ").first.map(String.init) }
  }

  subscript(name: String) -> Machine {
    guard let machine = machines.first(where: { $0.name == name }) else { preconditionFailure("no machine \(name)") }
    return machine
  }

  /// Drops every packet between two machines, without a word to either.
  func cut(_ machine: Machine, from other: Machine) throws {
    func nft(_ words: String...) throws {
      _ = try command("ip", "netns", "exec", machine.namespace, "nft", words.joined(separator: " "))
    }
    try nft("add table inet fault")
    for (hook, field) in [("input", "saddr"), ("output", "daddr")] {
      try nft("add chain inet fault \(hook) { type filter hook \(hook) priority 0; }")
      try nft("add rule inet fault \(hook) ip \(field) \(other.address) drop")
    }
  }

  /// Ends every cut that was made at a machine.
  func heal(_ machine: Machine) throws {
    try command("ip", "netns", "exec", machine.namespace, "nft", "delete table inet fault")
  }

  /// Makes a machine's link slow, in both directions.
  func slow(_ machine: Machine, kilobitsPerSecond: Int) throws {
    for (namespace, device) in [(machine.namespace, "eth0"), (hub, machine.port)] {
      try command(
        "ip", "netns", "exec", namespace, "tc", "qdisc", "add", "dev", device, "root", "tbf", "rate",
        "\(kilobitsPerSecond)kbit", "burst", "16kb", "latency", "500ms")
    }
  }
}
