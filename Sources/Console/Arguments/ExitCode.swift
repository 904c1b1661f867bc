/// How the process ends; docs/COMMANDS.md lists the same table.
public enum ExitCode: Int32, Sendable {
  /// The command did what it was asked, or was asked to stop and drained.
  case success = 0
  /// A file, a setting, a peer or the machine was not as needed; one line on standard error says which.
  case input = 1
  /// The command line could not be understood.
  case usage = 2
  /// The farm failed: its learner or its last worker kept failing.
  case farmFailed = 3
  /// A second SIGINT or SIGTERM ended it without draining.
  case interrupted = 130
}
