import Console
import Foundation
import RolloutWorker
import Wire

/// `fovea worker`: samples for a farm, from any machine. It needs no model and no settings: it fetches both.
enum WorkerCommand: Command {
  static let specification = CommandSpecification(
    "worker", "Samples for a farm; joins at any time, from any machine.",
    options: [
      .option("connect", "ENDPOINT", "The coordinator, tcp://HOST:PORT.", required: true),
      .option("threads", "N", "Kernel threads. Default: all cores."),
      .option("slots", "N", "Samples decoded at once. Default 32."),
      .option("name", "NAME", "Shown to people. Default: the machine's name and the process id."),
      .option("run", "ID", "Joins this run only. Default: any."),
      .option(
        "timeout", "SECONDS",
        "Ends when it has waited this long for the coordinator, or for anything else that it needs. "
          + "Default 21600, six hours.", aliases: ["patience"]),
    ] + Security.options,
    notes: ["SIGINT or SIGTERM: the worker returns its leases and leaves."])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let threads = try arguments.threads()
    let slots = try arguments.integer("slots", in: 1...4096) ?? 32
    let name = arguments["name"] ?? "\(ProcessInfo.processInfo.hostName)-\(getpid())"
    let timeout = try arguments.number("timeout", in: 0.1...1e9) ?? 21_600
    let coordinator = arguments.required("connect")
    let security = try Security.client(arguments)
    let reactor = try Reactor(
      sockets: [.dealer(.control, connect: coordinator), .dealer(.weights)], security: security)
    defer { reactor.close() }
    let warning = Security.warn(security, [coordinator], RoleLog.write)
    defer { warning?.cancel() }
    let runner = RolloutRunner(
      runID: arguments["run"] ?? "", name: name, threads: threads, slots: slots, reactor: reactor,
      coordinator: coordinator, timeoutSeconds: timeout, log: RoleLog.write)
    RoleLog.write("worker \(name), \(threads) threads, \(slots) slots, connects to \(coordinator)")
    return try await RoleLog.run(host, drain: { runner.drain() }) { try await runner.run() }
  }
}
