import Foundation

/// What the structure tests read from Swift sources: imports, declared names, and names that are used.
extension SourceTree.File {
  /// The path of the folder that holds the file.
  var folder: String { String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) }

  /// The modules that the file imports.
  var imports: [String] {
    lines.filter { $0.contains("import ") }.compactMap { line in
      line.firstMatch(of: Self.importPattern).map { String($0.1) }
    }
  }

  static var importPattern: Regex<(Substring, Substring)> {
    #/
      ^\s*(?:@[A-Za-z_()]+\s+)*(?:(?:public|package|internal|private|fileprivate)\s+)?
      import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?([A-Za-z_][A-Za-z_0-9]*)
      /#
  }

  /// Types and functions that the file declares at its top level for other files.
  var declaredNames: [String] {
    text.matches(
      of:
        #/
        (?m)^(?:(?:public|package|final|indirect)\s)*
        (?:struct|class|enum|protocol|actor|typealias|func)\s([A-Za-z_]\w*)
        /#
    ).map { String($0.1) }
  }

  /// Every word of the code; comments and texts, but for what is interpolated into them, are left out.
  ///
  /// A scanner and no regular expression: the tree has a million words.
  var words: Set<String> {
    var words: Set<String> = []
    for line in lines {
      let bytes = Array(line.utf8)
      var (at, start) = (0, 0)
      // How many parentheses are open in each interpolation; the last one is the innermost. nil stands for a text.
      var nesting: [Int?] = [0]
      func isWord(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte | 0x20) || (0x30...0x39).contains(byte) || byte == 0x5F
      }
      func end() {
        if start < at { words.insert(String(decoding: bytes[start..<at], as: UTF8.self)) }
      }
      while at < bytes.count {
        let byte = bytes[at]
        if nesting.last == .some(nil) {
          if byte == UInt8(ascii: "\\"), at + 1 < bytes.count {
            if bytes[at + 1] == UInt8(ascii: "(") { nesting.append(0) }
            at += 1
          } else if byte == UInt8(ascii: "\"") {
            nesting.removeLast()
          }
          at += 1
          start = at
          continue
        }
        if isWord(byte) {
          at += 1
          continue
        }
        end()
        if byte == UInt8(ascii: "/"), at + 1 < bytes.count, bytes[at + 1] == byte { break }
        switch byte {
        case UInt8(ascii: "\""): nesting.append(nil)
        case UInt8(ascii: "("): nesting[nesting.count - 1] = (nesting[nesting.count - 1] ?? 0) + 1
        case UInt8(ascii: ")"):
          if nesting.count > 1, nesting[nesting.count - 1] == 0 {
            nesting.removeLast()
          } else {
            nesting[nesting.count - 1] = (nesting[nesting.count - 1] ?? 0) - 1
          }
        default: break
        }
        at += 1
        start = at
      }
      if at == bytes.count, nesting.last != .some(nil) { end() }
    }
    return words
  }
}

extension SourceTree {
  /// The folders of all Swift targets under Sources: Sources/Core holds one target a folder.
  static let targetFolders: [String] = {
    let folders = swiftFiles.filter { $0.path.hasPrefix("Sources/") && !$0.path.hasPrefix("Sources/FuzzDriver/") }
      .map { file in
        let parts = file.path.split(separator: "/")
        return parts.prefix(parts[1] == "Core" ? 3 : 2).joined(separator: "/") + "/"
      }
    return Set(folders).sorted()
  }()
}
