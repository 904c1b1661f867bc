import Console

/// A subcommand: what it accepts, and what it does.
protocol Command {
  static var specification: CommandSpecification { get }
  /// Does the work. Errors of outside input and of usage are thrown; the tool prints them.
  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode
}
