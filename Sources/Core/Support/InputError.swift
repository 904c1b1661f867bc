/// The error for everything that comes from outside: bytes, files, settings, peers.
///
/// It names the operation, the place, what was expected and what was found, so that a person can fix the input without
/// reading the source. A bug is a `precondition`, never an `InputError`; lateness and cancellation are values.
public struct InputError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What was being done, in the infinitive: "read tensor".
  public var operation: String
  /// Where: a file, and inside it a tensor, a line, a key, a field.
  public var place: String
  /// What would have been right.
  public var expected: String
  /// What was there instead.
  public var found: String

  /// Names the operation, the place, what was expected and what was found.
  public init(_ operation: String, at place: String, expected: String, found: String) {
    self.operation = operation
    self.place = place
    self.expected = expected
    self.found = found
  }

  /// One line: "cannot OPERATION at PLACE: expected EXPECTED, found FOUND".
  public var description: String {
    "cannot \(operation) at \(place): expected \(expected), found \(found)"
  }
}
