import Foundation
import Glibc
import Support

/// Files of the run directory: every failure is an `InputError` that names the file and what the system said.

/// The error of the last system call.
func systemError(_ operation: String, at place: String) -> InputError {
  let code = errno
  let expected =
    switch code {
    case ENOSPC, EDQUOT: "free space on the disk"
    case EACCES, EPERM, EROFS: "a place that may be written"
    case EEXIST: "a name that is free"
    case ENOENT, ENOTDIR: "an existing folder"
    default: "success"
    }
  return InputError(operation, at: place, expected: expected, found: String(cString: strerror(code)).lowercased())
}

/// Reads a whole file of at most `byteCountMax` bytes.
public func readFile(_ path: String, operation: String, byteCountMax: Int = 1 << 30) throws -> [UInt8] {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else {
    let found = errno == ENOENT ? "no such file" : String(cString: strerror(errno)).lowercased()
    throw InputError(operation, at: path, expected: "a file that can be read", found: found)
  }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = read(descriptor, &chunk, chunk.count)
    if count < 0 && errno == EINTR { continue }
    if count < 0 {
      let found = String(cString: strerror(errno)).lowercased()
      throw InputError(operation, at: path, expected: "a file that can be read", found: found)
    }
    if count == 0 { return bytes }
    bytes += chunk[0..<count]
    if bytes.count > byteCountMax {
      throw InputError(operation, at: path, expected: "at most \(byteCountMax) bytes", found: "more")
    }
  }
}

/// Puts a file in place as a whole: written aside, synced, renamed.
public func writeFile(_ bytes: [UInt8], to path: String) throws {
  let aside = path + ".new"
  let descriptor = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
  guard descriptor >= 0 else { throw systemError("write file", at: aside) }
  let written = writeAll(bytes, to: descriptor) && fsync(descriptor) == 0
  let error = written ? nil : systemError("write file", at: aside)
  close(descriptor)
  if let error {
    unlink(aside)
    throw error
  }
  guard rename(aside, path) == 0 else { throw systemError("write file", at: path) }
}

func makeFolder(_ path: String, parents: Bool, mayExist: Bool) throws {
  // Not NSString's deletingLastPathComponent, which traps for a path of one letter.
  if parents, let slash = path.lastIndex(of: "/"), slash > path.startIndex {
    try makeFolder(String(path[..<slash]), parents: true, mayExist: true)
  }
  if mkdir(path, 0o700) == 0 { return }
  if errno == EEXIST, mayExist, isFolder(path) { return }
  throw systemError("create folder", at: path)
}

func isFile(_ path: String) -> Bool { mode(path) == S_IFREG }
func isFolder(_ path: String) -> Bool { mode(path) == S_IFDIR }

private func mode(_ path: String) -> mode_t? {
  var information = stat()
  return stat(path, &information) == 0 ? information.st_mode & S_IFMT : nil
}

func describe(_ path: String) -> String {
  isFolder(path) ? "a folder without them" : isFile(path) ? "a file" : "nothing"
}
