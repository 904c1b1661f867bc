/// The targets of Package.swift with their folders and dependencies, as the structure tests read them from its text.
struct PackageManifest {
  struct Target {
    var name: String
    /// Relative to the repository's root, with a slash at the end.
    var folder: String
    /// Names of targets, and of system libraries.
    var dependencies: [String]
  }

  let targets: [String: Target]

  /// - Parameter text: of Package.swift. Its helpers `core`, `module` and `tests` take a name and a list of
  ///   dependencies.
  init(_ text: String) {
    var targets: [String: Target] = [:]
    func add(_ name: Substring, folder: String, _ dependencies: Substring?) {
      let names = (dependencies ?? "").matches(of: #/"([A-Za-z0-9]+)"/#).map { String($0.1) }
      targets[String(name)] = Target(name: String(name), folder: folder, dependencies: names)
    }
    for match in text.matches(of: #/\b(core|module|tests)\(\s*"([A-Za-z0-9]+)",\s*\[([^\]]*)\]/#) {
      let parent = ["core": "Sources/Core/", "module": "Sources/", "tests": "Tests/"][String(match.1)]!
      add(match.2, folder: parent + match.2 + "/", match.3)
    }
    let call =
      #/\.(?:target|executableTarget|systemLibrary)\(\s*name: "([A-Za-z0-9]+)"(?:,\s*dependencies: \[([^\]]*)\])?/#
    for match in text.matches(of: call) {
      add(match.1, folder: "Sources/\(match.1)/", match.2)
    }
    self.targets = targets
  }

  /// Everything that a target links, directly or not; itself only if it is part of a circle.
  func closure(of name: String) -> Set<String> {
    var found: Set<String> = []
    var next = targets[name]?.dependencies ?? []
    while let dependency = next.popLast() {
      if found.insert(dependency).inserted { next += targets[dependency]?.dependencies ?? [] }
    }
    return found
  }
}

/// Who depends on whom, for finding circles.
struct DependencyGraph {
  /// For each node, the nodes that it depends on and a word that says why.
  var edges: [String: [String: String]] = [:]

  mutating func add(_ from: String, on to: String, because word: String) { edges[from, default: [:]][to] = word }

  /// One circle, as "a -> b (word) -> a (word)"; nil when there is none.
  var circle: String? {
    var done: Set<String> = []
    var path: [String] = []
    func visit(_ node: String) -> [String]? {
      if let start = path.firstIndex(of: node) { return Array(path[start...]) + [node] }
      guard done.insert(node).inserted else { return nil }
      path.append(node)
      defer { path.removeLast() }
      for next in (edges[node] ?? [:]).keys.sorted() {
        if let found = visit(next) { return found }
      }
      return nil
    }
    for node in edges.keys.sorted() {
      guard let nodes = visit(node) else { continue }
      return zip(nodes, nodes.dropFirst()).reduce(nodes[0]) { text, edge in
        "\(text) -> \(edge.1) (\(edges[edge.0]?[edge.1] ?? ""))"
      }
    }
    return nil
  }
}
