import Console
import Foundation
import Learner
import Settings
import Wire

/// `fovea learner`: trains on the samples of a farm, serves weights, makes checkpoints.
enum LearnerCommand: Command {
  static let specification = CommandSpecification(
    "learner", "Trains on the samples of a farm; resumes from the checkpoints of its run directory.",
    options: [
      .option("config", "FILE", "Settings in YAML, the same as the coordinator's.", required: true),
      .option("connect", "ENDPOINT", "The coordinator, tcp://HOST:PORT.", required: true),
      .option(
        "run-directory", "FOLDER",
        "Holds its checkpoints; it resumes from the newest. Default: RUNS/NAME-SEED of the settings."
      ),
      .option("threads", "N", "Kernel threads. Default: the settings' farm.learner_threads, or all cores."),
      .option(
        "advertise", "ENDPOINT", "Where workers reach its weights. Default: where it listens (farm.weights_listen)."),
      .option("name", "NAME", "Shown to people. Default: learner."),
      .option("run", "ID", "Joins this run only. Default: any."),
    ] + Security.options,
    operands: .many(name: "KEY=VALUE", summary: "Settings that win over the file."),
    notes: ["SIGINT or SIGTERM: the open step ends, a checkpoint is made, the learner leaves."])

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    var settings = try SettingsFile.load(path: arguments.required("config"), overrides: arguments.operands)
    Security.apply(arguments, to: &settings)
    let security = try Security.server(settings.farm)
    let cores = settings.farm.learnerThreads
    let threads = try arguments["threads"] == nil && cores > 0 ? cores : arguments.threads()
    let coordinator = arguments.required("connect")
    let reactor = try Reactor(
      sockets: [.dealer(.control, connect: coordinator), .router(.weights, listen: settings.farm.weightsListen)],
      security: security)
    defer { reactor.close() }
    let warning = Security.warn(security, [coordinator, settings.farm.weightsListen], RoleLog.write)
    defer { warning?.cancel() }
    let bound = reactor.boundEndpoint(of: .weights)
    let runner = LearnerRunner(
      settings: settings, runID: arguments["run"] ?? "", name: arguments["name"] ?? "learner",
      runDirectory: arguments["run-directory"] ?? "\(settings.run.directory)/\(settings.run.name)-\(settings.run.seed)",
      threads: threads, reactor: reactor,
      weightsEndpoint: arguments["advertise"] ?? reachable(bound, from: coordinator),
      coordinator: coordinator, log: RoleLog.write)
    RoleLog.write("learner, \(threads) threads, serves weights at \(bound), connects to \(coordinator)")
    return try await RoleLog.run(host, drain: { runner.drain() }) { try await runner.run() }
  }

  /// A wildcard is no address that a worker could connect to: with a coordinator on the loopback it means the loopback,
  /// else this machine's name.
  static func reachable(_ endpoint: String, from coordinator: String) -> String {
    let host =
      coordinator.contains("//127.") || coordinator.contains(";127.") ? "127.0.0.1" : ProcessInfo.processInfo.hostName
    return Endpoint.replacingWildcard(endpoint, by: host)
  }
}
