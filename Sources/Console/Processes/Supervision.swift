/// Decides what a farm does when one of its processes ends: a pure value, tested without processes.
///
/// Coordinator, learner and workers are replaced when they die, a bounded number of times each; a process that ends
/// with `ExitCode.input` or `ExitCode.usage` found something wrong that a restart does not fix, and a coordinator that
/// ends with any code has decided how the run ends.
public struct Supervision: Equatable, Sendable {
  public enum Kind: Sendable {
    case coordinator
    case learner
    case worker
  }

  public enum Decision: Equatable, Sendable {
    /// Start it again; the number of restarts that are left after this one.
    case replace(left: Int)
    /// It left on purpose.
    case accept
    /// Leave it; the farm continues without it.
    case lose
    /// The farm cannot continue.
    case fail(reason: String)
  }

  private struct Child: Equatable {
    var kind: Kind
    var restartsLeft: Int
    var isRunning: Bool
  }

  public static let restartsMax = 5
  private var children: [String: Child] = [:]
  /// Once true, every end is expected.
  public private(set) var isDraining = false

  public init() {}

  /// Takes note that a process runs, the first time or again.
  public mutating func onStart(_ name: String, _ kind: Kind) {
    children[name, default: Child(kind: kind, restartsLeft: Self.restartsMax, isRunning: true)].isRunning = true
  }

  /// From now on processes may end, the coordinator and the learner in order.
  public mutating func onDrain() { isDraining = true }

  /// Decides what follows from the end of a process.
  public mutating func onEnd(_ name: String, _ end: ProcessEnd) -> Decision {
    guard var child = children[name] else { preconditionFailure("no process \(name)") }
    child.isRunning = false
    defer { children[name] = child }
    if isDraining {
      // The learner leaves with an error when the last checkpoint could not be made, the coordinator when the run has
      // failed.
      guard child.kind != .worker, case .exited(let code) = end, code != ExitCode.success.rawValue else {
        return .accept
      }
      return .fail(reason: "\(name) \(end)")
    }
    let isFinal = [ExitCode.input, .usage].contains { end == .exited(code: $0.rawValue) }
    if child.kind != .learner, end == .exited(code: ExitCode.success.rawValue) { return .accept }
    if child.kind == .coordinator, case .exited = end { return .fail(reason: "\(name) \(end)") }
    if !isFinal, child.restartsLeft > 0 {
      child.restartsLeft -= 1
      return .replace(left: child.restartsLeft)
    }
    let why = isFinal ? "\(name) \(end)" : "\(name) \(end), after \(Self.restartsMax) restarts"
    if child.kind != .worker { return .fail(reason: why) }
    let others = children.contains { $0.key != name && $0.value.kind == .worker && $0.value.isRunning }
    return others ? .lose : .fail(reason: "the last worker is gone: \(why)")
  }
}
