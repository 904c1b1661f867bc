import Console
import Core
import Foundation
import RolloutWorker
import Wire

/// `fovea worker`: draws samples for a farm, from any machine. It needs no model and no settings: both come to it.
enum WorkerCommand: Command {
  static let specification = CommandSpecification(
    "worker", "Draws samples for a farm; joins at any time, from any machine.",
    options: [
      .option("connect", "ENDPOINT", "The coordinator, tcp://HOST:PORT.", required: true),
      .option("threads", "N", "Kernel threads. Default: all cores."),
      .option("slots", "N", "Samples decoded at once. Default 32."),
      .option("name", "NAME", "Shown to people. Default: the machine's name and the process id."),
      .option("run", "ID", "Joins this run only. Default: any."),
    ],
    notes: ["SIGINT or SIGTERM: the worker gives its leases back and leaves."])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let threads = try arguments.threads()
    let slots = try arguments.integer("slots", in: 1...4096) ?? 32
    let name = arguments["name"] ?? "\(ProcessInfo.processInfo.hostName)-\(getpid())"
    let reactor = try Reactor(sockets: [
      .dealer(.control, connect: arguments.required("connect")), .dealer(.weights),
    ])
    defer { reactor.close() }
    let runner = RolloutRunner(
      runID: arguments["run"] ?? "", name: name, threads: threads, slots: slots, reactor: reactor, log: RoleLog.write)
    RoleLog.write("worker \(name), \(threads) threads, \(slots) slots, connects to \(arguments.required("connect"))")
    return try await RoleLog.run(host, drain: { runner.drain() }) { try await runner.run() }
  }
}
