import Console
import Settings
import Wire

/// From settings and options to the security of a process's sockets.
enum Security {
  static let options: [OptionSpecification] = [
    .option(
      "keys", "FOLDER", "The farm's keys (fovea help keys): everything is encrypted, and only listed keys connect."),
    .flag(
      "insecure", "Takes and makes connections beyond this machine without keys. Anyone who reaches them owns the run."),
  ]

  /// The security of coordinator and learner.
  static func server(_ farm: RunSettings.Farm) throws -> SocketSecurity {
    if !farm.keys.isEmpty { return try KeyDirectory(farm.keys).serverSecurity() }
    return farm.insecure ? .insecure : .loopbackOnly
  }

  /// The security of workers, and of `fovea status`.
  static func client(_ arguments: ParsedArguments) throws -> SocketSecurity {
    if let folder = arguments["keys"] { return try KeyDirectory(folder).clientSecurity() }
    return arguments.has("insecure") ? .insecure : .loopbackOnly
  }

  /// The settings, with the options over them.
  static func apply(_ arguments: ParsedArguments, to settings: inout RunSettings) {
    if let folder = arguments["keys"] { settings.farm.keys = folder }
    if arguments.has("insecure") { settings.farm.insecure = true }
  }

  /// Warns at once and every minute while endpoints beyond this machine are open in the clear.
  /// - Returns: what to cancel at the end; nil when there is nothing to warn of.
  static func warn(
    _ security: SocketSecurity, _ endpoints: [String], _ warn: @escaping @Sendable (String) -> Void
  ) -> Task<Void, Never>? {
    let open = endpoints.filter { !Endpoint.staysOnThisMachine($0) }
    guard case .insecure = security, !open.isEmpty else { return nil }
    let line =
      "INSECURE: \(open.joined(separator: " and ")) without keys: anyone who reaches it can read and change this run "
      + "(fovea help keys)"
    return Task {
      while !Task.isCancelled {
        warn(line)
        try? await Task.sleep(for: .seconds(60))
      }
    }
  }
}
