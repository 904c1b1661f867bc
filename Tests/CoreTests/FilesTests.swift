import Foundation
import Support
import Testing

/// A folder that goes away with the test.
private final class Folder {
  let path = NSTemporaryDirectory() + "fovea-files-\(UUID().uuidString)"
  init() throws { try Files.makeFolder(path) }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite("Files")
struct FilesTests {
  @Test("Are replaced as a whole, without leaving a temporary file")
  func replaced() throws {
    let folder = try Folder()
    let path = folder.path + "/a"
    try Files.write([1, 2], to: path)
    try Files.write([3], to: path)
    #expect(try Files.read(path, operation: "read") == [3])
    #expect(try Files.names(in: folder.path) == ["a"])
  }

  @Test("Are their owner's alone, also where a crash left a temporary file that was not")
  func mode() throws {
    let folder = try Folder()
    let path = folder.path + "/secret"
    try Data([9]).write(to: URL(fileURLWithPath: path + Files.temporarySuffix))
    #expect(chmod(path + Files.temporarySuffix, 0o644) == 0)
    try Files.write([1], to: path)
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    #expect(mode == 0o600)
  }

  @Test("That cannot be written keep their old bytes and name the reason")
  func unwritable() throws {
    let folder = try Folder()
    let error = #expect(throws: InputError.self) {
      try Files.write([1], to: folder.path + "/none/a", operation: "write settings")
    }
    #expect(error?.operation == "write settings")
    #expect(error?.expected == "an existing folder")
    // A folder has the name: the rename fails, and nothing stays next to it.
    try Files.makeFolder(folder.path + "/taken/inside")
    #expect(throws: InputError.self) { try Files.write([1], to: folder.path + "/taken") }
    #expect(try Files.names(in: folder.path) == ["taken"])
  }

  @Test("Are read up to a limit, and only when they are regular")
  func limits() throws {
    let folder = try Folder()
    let path = folder.path + "/a"
    try Files.write([1, 2, 3], to: path)
    #expect(try Files.read(path, operation: "read", byteCountMax: 3).count == 3)
    let large = #expect(throws: InputError.self) { try Files.read(path, operation: "read", byteCountMax: 2) }
    #expect(large?.expected == "at most 2 bytes")
    let missing = #expect(throws: InputError.self) { try Files.read(path + "x", operation: "read") }
    #expect(missing?.found == "no such file")
    let device = #expect(throws: InputError.self) { try Files.read("/dev/null", operation: "read") }
    #expect(device?.expected == "a regular file")
    #expect(try Files.read("/dev/null", operation: "read", acceptsPipes: true).isEmpty)
    #expect(throws: InputError.self) { try Files.read("", operation: "read") }
    #expect(throws: InputError.self) { try Files.read("a\0b", operation: "read") }
  }

  @Test("Lie in folders that are made with those above them, and again only where that is asked for")
  func folders() throws {
    let folder = try Folder()
    let path = folder.path + "/a/b/c"
    #expect(throws: InputError.self) { try Files.makeFolder(path, parents: false) }
    try Files.makeFolder(path + "/")
    try Files.makeFolder(path)
    #expect(Files.isFolder(path))
    let error = #expect(throws: InputError.self) { try Files.makeFolder(path, mayExist: false) }
    #expect(error?.expected == "a name that is free")
    try Files.write([], to: path + "/file")
    #expect(Files.isFile(path + "/file"))
    #expect(throws: InputError.self) { try Files.makeFolder(path + "/file") }
    try Files.move(path + "/file", to: path + "/moved")
    #expect(try Files.names(in: path) == ["moved"])
    #expect(throws: InputError.self) { try Files.names(in: path + "/none") }
  }
}

@Suite("The memory of a process")
struct ProcessMemoryTests {
  @Test("Has a peak above what is allocated now")
  func peak() {
    #expect(ProcessMemory.peakByteCount > 1 << 20)
  }
}
