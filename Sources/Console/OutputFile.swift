import Glibc
import Support

/// A file of JSON lines that a command writes where a person asked for it.
public final class OutputFile {
  private let path: String
  private let descriptor: Int32

  /// Makes the file, or empties the one that is there.
  public init(path: String) throws {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Files.failure("write output", at: path) }
  }

  deinit { close(descriptor) }

  /// Appends a line.
  public func write(_ json: JSON) throws {
    guard Files.writeAll(json.serialized() + [UInt8(ascii: "\n")], to: descriptor) else {
      throw Files.failure("write output", at: path)
    }
  }
}
