import Glibc

/// Files that are read or replaced as a whole, and the folders that hold them. Everything outside this folder of
/// sources that reads a small file, replaces one, makes a folder or lists it does so here.
///
/// A file is replaced by writing a temporary file next to it, syncing that, renaming it, and syncing the folder: after
/// a crash or on a full disk there is either the old file or the new one, never a half of either. What is made here
/// belongs to its owner alone (mode 0600, folders 0700). Every failure is an `InputError` that names the operation, the
/// file, and what the system reported.
public enum Files {
  /// The ending of a temporary file's name, until it is renamed.
  public static let temporarySuffix = ".new"

  // MARK: Files

  /// Reads a whole file.
  /// - Parameters:
  ///   - operation: names the reading in errors, in the infinitive: "read settings".
  ///   - byteCountMax: a larger file is refused; no more than this is held in memory.
  ///   - acceptsPipes: whether anything but a regular file is read. A pipe or a device may block, or never end.
  /// - Throws: `InputError`.
  public static func read(
    _ path: String, operation: String, byteCountMax: Int = 1 << 30, acceptsPipes: Bool = false
  ) throws -> [UInt8] {
    func failure(_ found: String) -> InputError {
      InputError(operation, at: path, expected: "a file that can be read", found: found)
    }
    func systemFailure() -> InputError { failure(errno == ENOENT ? "no such file" : systemReason()) }
    guard !path.isEmpty, !path.utf8.contains(0) else { throw failure("an empty path, or one with a NUL byte") }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | (acceptsPipes ? 0 : O_NONBLOCK))
    guard descriptor >= 0 else { throw systemFailure() }
    defer { close(descriptor) }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { throw systemFailure() }
    let isRegular = information.st_mode & S_IFMT == S_IFREG
    guard isRegular || acceptsPipes else {
      throw InputError(operation, at: path, expected: "a regular file", found: "a folder, pipe or device")
    }
    var bytes: [UInt8] = []
    if isRegular { bytes.reserveCapacity(min(byteCountMax, max(0, Int(information.st_size)))) }
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw systemFailure() }
      if count == 0 { return bytes }
      guard bytes.count + count <= byteCountMax else {
        throw InputError(operation, at: path, expected: "at most \(byteCountMax) bytes", found: "a larger file")
      }
      bytes += chunk[0..<count]
    }
  }

  /// Puts a file in place as a whole, instead of the one that may be there.
  /// - Parameters:
  ///   - operation: names the writing in errors, in the infinitive: "write key".
  ///   - isSynced: false for what only people watch: it is still replaced as a whole, but may be lost with the machine.
  /// - Throws: `InputError`; the file that was there is untouched then.
  public static func write(
    _ bytes: [UInt8], to path: String, operation: String = "write file", isSynced: Bool = true
  ) throws {
    let temporary = path + temporarySuffix
    // One that a crash left may have a wider mode, which opening it would keep.
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure(operation, at: temporary) }
    let isWritten = writeAll(bytes, to: descriptor) && (!isSynced || fsync(descriptor) == 0)
    let error = isWritten ? nil : failure(operation, at: temporary)
    close(descriptor)
    if let error {
      unlink(temporary)
      throw error
    }
    guard rename(temporary, path) == 0 else {
      let error = failure(operation, at: path)
      unlink(temporary)
      throw error
    }
    if isSynced { try synchronize(folder(of: path)) }
  }

  /// Renames a file or folder; a file that has the new name is replaced.
  public static func move(_ path: String, to newPath: String) throws {
    if rename(path, newPath) != 0 { throw failure("rename to \(newPath)", at: path) }
  }

  /// Removes a file, where there is one.
  public static func remove(_ path: String) { unlink(path) }

  /// Waits until a file's bytes, or the names in a folder, are on the disk.
  public static func synchronize(_ path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("open", at: path) }
    defer { close(descriptor) }
    if fsync(descriptor) != 0 { throw failure("write to disk", at: path) }
  }

  /// Whether there is a regular file at a path, or at the end of a link.
  public static func isFile(_ path: String) -> Bool { kind(of: path) == S_IFREG }

  /// Whether there is anything at a path.
  public static func exists(_ path: String) -> Bool { kind(of: path) != nil }

  // MARK: Folders

  /// Makes a folder of mode 0700.
  /// - Parameters:
  ///   - parents: makes the folders above it too, where they are missing.
  ///   - mayExist: whether a folder that is there already is as good.
  public static func makeFolder(_ path: String, parents: Bool = true, mayExist: Bool = true) throws {
    let parent = folder(of: path)
    if parents, parent != path, parent != ".", parent != "/" { try makeFolder(parent) }
    if mkdir(path, 0o700) == 0 { return }
    if errno == EEXIST, mayExist, isFolder(path) { return }
    throw failure("create folder", at: path)
  }

  /// Whether there is a folder at a path, or at the end of a link.
  public static func isFolder(_ path: String) -> Bool { kind(of: path) == S_IFDIR }

  /// The names in a folder, sorted.
  public static func names(in folder: String) throws -> [String] {
    guard let stream = opendir(folder) else {
      throw InputError("list folder", at: folder, expected: "a folder that can be read", found: systemReason())
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// The bytes that an unprivileged process may still write on the disk of a path; nil when the system does not know.
  public static func availableByteCount(at path: String) -> UInt64? {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return nil }
    return UInt64(status.f_bavail) &* UInt64(status.f_frsize)
  }

  /// The path of the folder that a file or folder is in: "." for a bare name.
  static func folder(of path: String) -> String {
    let trimmed =
      path.last == "/" ? path[..<(path.lastIndex { $0 != "/" }.map(path.index(after:)) ?? path.endIndex)] : path[...]
    guard let slash = trimmed.lastIndex(of: "/") else { return "." }
    return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
  }

  private static func kind(of path: String) -> mode_t? {
    var information = stat()
    return stat(path, &information) == 0 ? information.st_mode & S_IFMT : nil
  }

  // MARK: The system

  /// Writes all bytes to a file descriptor, also where it takes only a part at a time.
  /// - Returns: false on an error, which `errno` names.
  @discardableResult
  package static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    bytes.withUnsafeBytes { buffer in
      var sent = 0
      while sent < buffer.count {
        let count = Glibc.write(descriptor, buffer.baseAddress! + sent, buffer.count - sent)
        if count < 0 && errno == EINTR { continue }
        if count < 0 && errno == EAGAIN {
          var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
          if Glibc.poll(&poll, 1, 1000) > 0 { continue }
        }
        if count <= 0 { return false }
        sent += count
      }
      return true
    }
  }

  /// The error of the last system call.
  package static func failure(_ operation: String, at place: String) -> InputError {
    let expected =
      switch errno {
      case ENOSPC, EDQUOT: "free space on the disk"
      case EACCES, EPERM, EROFS: "a place that may be written"
      case EEXIST: "a name that is free"
      case ENOENT, ENOTDIR: "an existing folder"
      default: "success"
      }
    return InputError(operation, at: place, expected: expected, found: systemReason())
  }

  private static func systemReason() -> String { String(cString: strerror(errno)).lowercased() }
}
