import Foundation
import Testing

/// The rules that a reader relies on, read from the tree itself. A failure names the file and the line.
@Suite("Tidy")
struct TidyTests {
  @Test("No source file is longer than 400 lines")
  func lengths() {
    #expect(SourceTree.sourceFiles.count > 20, "the tree was not found")
    // protoc-c writes Sources/CWire; nobody reads it.
    for file in SourceTree.sourceFiles where !file.path.hasPrefix("Sources/CWire/") {
      #expect(file.lines.count <= 401, "\(file) has \(file.lines.count - 1) lines")
    }
  }

  @Test("No line is wider than 120 columns; texts in code, tables and code of Markdown, and pragmas may be")
  func widths() {
    for file in SourceTree.texts
    where file.isCode && ["Sources/", "Tests/"].contains(where: file.path.hasPrefix) || file.path.hasSuffix(".md") {
      var isFenced = false
      for (index, line) in file.lines.enumerated() where line.utf8.count > 120 || line.hasPrefix("```") {
        if file.path.hasSuffix(".md") {
          if line.hasPrefix("```") { isFenced.toggle() }
          if isFenced || line.hasPrefix("|") { continue }
        }
        // The formatter breaks code, but no text in quotation marks.
        let hasText = line.contains("\"") && !line.drop { $0 == " " }.hasPrefix("//") || line.contains("{%")
        if line.count > 120, !line.hasPrefix("#pragma"), !hasText {
          Issue.record("\(file):\(index + 1) has \(line.count) columns")
        }
      }
    }
  }

  @Test("Every source file opens with a comment, or documents the first type that it declares")
  func openings() {
    // A file of one or two lines says itself what it is.
    for file in SourceTree.sourceFiles where file.path.hasSuffix(".swift") && file.lines.count > 3 {
      let first = file.lines.map { $0.drop { $0 == " " } }.first { line in
        !line.isEmpty && !line.hasPrefix("#")
          && !(line.contains("import ") && line.contains(SourceTree.File.importPattern))
      }
      // An extension belongs to a type that says elsewhere what it is.
      #expect(
        first?.hasPrefix("//") == true || first?.hasPrefix("extension ") == true,
        "\(file) starts without saying what it is")
    }
  }

  @Test("Tests see what the modules declare public or package, and no unsafe flag is set")
  func attributes() {
    let banned = ["@" + "testable", "unsafe" + "Flags"]
    for file in SourceTree.swiftFiles {
      for word in banned { #expect(!file.text.contains(word), "\(file) contains \(word)") }
    }
  }

  @Test("No source file imports a test library")
  func noTestLibraries() {
    for file in SourceTree.swiftFiles where file.path.hasPrefix("Sources/") {
      #expect(!file.imports.contains("Testing"), "\(file) imports Testing")
    }
  }

  @Test("What the compiler is told not to check carries its argument in the comment above")
  func uncheckedClaims() {
    let claims = ["@unchecked " + "Sendable", "nonisolated(" + "unsafe)"]
    for file in SourceTree.swiftFiles {
      let lines = file.lines.map { $0.trimmingCharacters(in: .whitespaces) }
      for (index, line) in lines.enumerated() where !line.hasPrefix("//") {
        for claim in claims where line.contains(claim) {
          var above = index - 1
          // Attributes, and declarations in the same run of claims, stand between the comment and the line.
          while above >= 0, lines[above].hasPrefix("@") || lines[above].contains(claim), !lines[above].hasPrefix("//") {
            above -= 1
          }
          #expect(
            above >= 0 && lines[above].hasPrefix("//"), "\(file):\(index + 1) claims \(claim) without an argument")
        }
      }
    }
  }

  @Test("No file names the place where it was made, or a registry's host")
  func words() {
    for file in SourceTree.texts {
      for word in forbiddenWords where !(word == beside && file.path == ".ci/run") {
        for (index, line) in file.lines.enumerated() where line.contains(word) {
          Issue.record("\(file):\(index + 1) contains \(word)")
        }
      }
    }
  }

  @Test("What reads peers' messages opens no file and starts no program")
  func peersNameNoPath() {
    // Keys and the journal have paths from a person's settings, and read no message.
    let exempt = ["Sources/Wire/Security/", "Sources/Coordinator/Journal"]
    let calls =
      #/
      \bO_(?:RDONLY|WRONLY|RDWR|CREAT)\b
      |\b(?:fopen|mkdir|unlink|rename|posix_spawn|execve|system|popen)\(
      |\b(?:FileManager|FileHandle|Files|FileWriter|TextFile|MappedFile|Process)[(.]
      |\bcontentsOf
      /#
    var count = 0
    for file in SourceTree.sourceFiles
    where ["Wire", "Coordinator", "RolloutWorker"].contains(file.module) && file.path.hasSuffix(".swift") {
      if exempt.contains(where: { file.path.hasPrefix($0) }) { continue }
      count += 1
      for (index, line) in file.lines.enumerated() where !line.contains("//") {
        if let call = line.firstMatch(of: calls) { Issue.record("\(file):\(index + 1) has \(call.0)") }
      }
    }
    #expect(count > 30, "the modules were not found")
  }

  @Test("Every kernel is fuzzed against its portable twin")
  func fuzzing() {
    let kernels = SourceTree.text("Sources/CKernels/dispatch.c").matches(of: #/X\([a-z_]+, ([a-z_0-9]+),/#).map {
      String($0.1)
    }
    #expect(kernels.count > 20, "the table of kernels was not found")
    let fuzz = SourceTree.texts.filter { $0.path.hasPrefix("Tests/CoreTests/KernelFuzz") }.map(\.text).joined()
    // A peak has no result, and `exponentials` is the larger half of `fv_sample`.
    for kernel in kernels where !kernel.hasSuffix("peak") && kernel != "exponentials" {
      #expect(fuzz.contains("fv_\(kernel)("), "no fuzz test calls fv_\(kernel)")
    }
  }

  @Test("No fixture is larger than a megabyte")
  func fixtures() {
    for (path, byteCount) in SourceTree.paths where path.hasPrefix("Tests/") {
      #expect(byteCount <= 1 << 20, "\(path) has \(byteCount) bytes")
    }
  }

  @Test("Every command of the README exists")
  func commands() {
    let targets = Set(SourceTree.text("Makefile").matches(of: #/(?m)^([a-z-]+):/#).map { String($0.1) })
    let commands = SourceTree.text("README.md").matches(of: #/\bmake ([a-z][a-z-]*)\b/#).map { String($0.1) }
    #expect(commands.contains("train") && commands.contains("test"))
    for command in commands { #expect(targets.contains(command), "README says make \(command)") }

    let known = Set(SourceTree.paths.map(\.path))
    for match in SourceTree.text("README.md").matches(of: #/[$`]fovea ([a-z]+)/#) where match.1 != "help" {
      let file = "Sources/fovea/Commands/\(match.1.prefix(1).uppercased())\(match.1.dropFirst())Command.swift"
      #expect(known.contains(file), "README says fovea \(match.1)")
    }
  }

  @Test("Every file that the README points at exists")
  func links() {
    let known = Set(SourceTree.paths.map(\.path))
    for link in SourceTree.text("README.md").matches(of: #/\]\(([^)#:]+)\)/#).map({ String($0.1) }) {
      let isFolder = link.hasSuffix("/") && known.contains { $0.hasPrefix(link) }
      #expect(known.contains(link) || isFolder, "README points at \(link)")
    }
  }
}

/// The folder beside a clone where measuring data may lie; .ci/run alone knows of it.
private let beside = "../" + "shared"

/// Joined here, so that this file does not contain them.
private let forbiddenWords: [String] = [
  ["/wo", "rk/"], ["../", "shared"], ["py", "pi.org"], ["files.python", "hosted"], ["hugging", "face.co"],
  ["deb.", "debian.org"], ["download.", "pytorch.org"], [".", "library/"], ["crates", ".io"], ["npm", "js."],
].map { $0.joined() }
