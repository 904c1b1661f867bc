import Console
import Foundation
import Runs
import Support
import Wire

/// `fovea status`: asks a running coordinator what the farm is doing.
enum StatusCommand: Command {
  static let specification = CommandSpecification(
    "status", "Shows a running farm: who does what, and who waits for whom.",
    options: [
      .option("connect", "ENDPOINT", "The coordinator, for example tcp://127.0.0.1:5555.", required: true),
      .option(
        "run-directory", "FOLDER", "Shows the curves and the time left too, from a run directory on this machine."),
      .option("timeout", "SECONDS", "How long to wait for an answer. Default 5."),
      .flag("json", "Prints JSON instead of a table."),
    ] + Security.options)

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let timeout = try arguments.number("timeout", in: 0.1...3600) ?? 5
    var history = MetricsHistory()
    if let folder = arguments["run-directory"] {
      for row in try MetricsFile.read(RunDirectory.at(folder).metricsPath) { history.append(row) }
    }
    let status = try await ask(
      arguments.required("connect"), security: Security.client(arguments), timeoutSeconds: timeout)
    let output = TerminalOutput()
    if arguments.has("json") {
      output.write(String(decoding: status.json.serialized(pretty: true), as: UTF8.self) + "\n")
    } else {
      let width = output.isTerminal ? output.size.columns : 100
      for line in FarmView(width: width).lines(status, history) {
        output.write((output.isTerminal ? line.rendered(width: width, colour: output.colour) : line.text) + "\n")
      }
    }
    return .success
  }

  /// Asks again every second until the answer comes: the first request may go before the connection stands.
  static func ask(
    _ endpoint: String, security: SocketSecurity, timeoutSeconds: Double
  ) async throws -> FarmStatus {
    let reactor = try Reactor(sockets: [.dealer(.control, connect: endpoint)], security: security)
    defer { reactor.close() }
    let deadline = MonotonicClock.now() + Milliseconds(timeoutSeconds * 1000)
    var nextRequest: Milliseconds = 0
    var link = LinkState.down
    for await event in reactor.events {
      switch event {
      case .received(.statusReport(let status), _, from: _): return status
      case .received(.refused(let refused), _, from: _):
        throw InputError("ask for the status", at: endpoint, expected: "an answer", found: "refused: \(refused.reason)")
      case .connectFailed(_, _, let reason):
        throw InputError("connect", at: endpoint, expected: "tcp://HOST:PORT", found: reason)
      case .link(_, .failing(let reason)), .link(_, .refused(let reason)):
        throw InputError("ask for the status", at: endpoint, expected: "a coordinator that takes us", found: reason)
      case .link(_, let state): link = state
      case .tick(let now):
        if now >= deadline {
          throw InputError(
            "ask for the status", at: endpoint, expected: "a coordinator that answers within \(timeoutSeconds) s",
            found: link == .up ? "a connection, and silence" : link.described)
        }
        if now >= nextRequest {
          nextRequest = now + 1000
          reactor.send(.statusRequest, on: .control)
        }
      default: break
      }
    }
    throw InputError("ask for the status", at: endpoint, expected: "an answer", found: "a closed connection")
  }
}
