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
  var words: Set<String> {
    var words: Set<String> = []
    for line in lines {
      let code = line.firstRange(of: "//").map { line[..<$0.lowerBound] } ?? line
      let bare = code.replacing(#/"(?:\\.|[^"\\])*"/#) { text in
        text.0.matches(of: #/\\\(([^)]*)\)/#).map { String($0.1) }.joined(separator: " ")
      }
      for match in bare.matches(of: #/[A-Za-z_]\w*/#) { words.insert(String(match.0)) }
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
