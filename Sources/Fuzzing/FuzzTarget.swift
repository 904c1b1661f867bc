import Support

/// A reader of outside bytes, as fuzzing and the replay of its corpora call it.
///
/// Whatever the bytes are, it either decodes them or throws an `InputError`: anything else (a trap, another error, a
/// broken promise of the decoded value) ends the process, which is how a fuzzer notices. Corpora of inputs that reach
/// far, and of every input that ever failed, lie in Tests/Fixtures/fuzz/NAME.
public struct FuzzTarget: Sendable, CustomStringConvertible {
  /// The outcome of an input.
  public enum Outcome: Sendable {
    case decoded
    case refused
  }

  /// Also the name of its corpus.
  public let name: String
  private let body: @Sendable ([UInt8]) throws -> Void

  init(_ name: String, _ body: @escaping @Sendable ([UInt8]) throws -> Void) {
    self.name = name
    self.body = body
  }

  public var description: String { name }

  /// Reads the bytes.
  @discardableResult
  public func run(_ bytes: [UInt8]) -> Outcome {
    do {
      try body(bytes)
      return .decoded
    } catch is InputError {
      return .refused
    } catch {
      fatalError("\(name) throws \(error), which is no InputError")
    }
  }

  /// Everything that reads outside bytes.
  public static let all = frames + models + images + data + files + answers

  /// The target of a name; nil when there is none.
  public static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}
