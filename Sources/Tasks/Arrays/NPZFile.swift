import Support

/// numpy's .npz: a zip archive of .npy arrays, by name.
package struct NPZFile {
  /// The largest size of an array.
  package static let byteCountMax = 1 << 30

  private let archive: ZipArchive

  /// - Throws: `InputError` for a file that is no such archive.
  package init(path: String) throws { try self.init(MappedFile(path: path)) }

  /// Reads an archive like `init(path:)`, from an open file.
  package init(_ file: MappedFile) throws { archive = try ZipArchive(file) }

  /// In the archive's order.
  package var names: [String] {
    archive.entries.compactMap { $0.name.hasSuffix(".npy") ? String($0.name.dropLast(4)) : nil }
  }

  /// The array of a name, read and checked now.
  package func array(_ name: String) throws -> NPYArray {
    let place = "\(archive.file.path), array \(name)"
    guard let entry = archive.entries.first(where: { $0.name == name + ".npy" }) else {
      throw InputError(
        "read array", at: place, expected: "one of \(names.joined(separator: ", "))", found: "no such array")
    }
    return try NPYArray(file: archive.contents(of: entry, byteCountMax: Self.byteCountMax), place: place)
  }
}
