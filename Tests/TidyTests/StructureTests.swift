import Testing

/// The architecture as a test: what Package.swift and the folders say, held against the sources.
@Suite("Structure")
struct StructureTests {
  private static let manifest = PackageManifest(SourceTree.text("Package.swift"))
  private static let roles = ["Coordinator", "RolloutWorker", "Learner"]

  @Test("Package.swift is read whole: every folder of sources is a target")
  func everyFolderIsATarget() {
    #expect(Self.manifest.targets.count > 40)
    for file in SourceTree.swiftFiles
    where file.path.hasPrefix("Sources/") && !file.path.hasPrefix("Sources/FuzzDriver/") {
      let owners = Self.manifest.targets.values.filter { file.path.hasPrefix($0.folder) }
      #expect(owners.count == 1, "\(file) belongs to \(owners.map(\.name))")
    }
  }

  @Test("No target depends on itself, directly or by way of others")
  func noCircleOfTargets() {
    var graph = DependencyGraph()
    for target in Self.manifest.targets.values {
      for dependency in target.dependencies { graph.add(target.name, on: dependency, because: "Package.swift") }
    }
    #expect(graph.circle == nil)
  }

  @Test("A file imports what its target depends on, and nothing else", arguments: SourceTree.targetFolders)
  func imports(folder: String) throws {
    let target = try #require(Self.manifest.targets.values.first { $0.folder == folder })
    for file in SourceTree.swiftFiles where file.path.hasPrefix(folder) {
      for module in file.imports where !systemModules.contains(module) {
        #expect(target.dependencies.contains(module), "\(file) imports \(module)")
      }
    }
  }

  @Test("Every dependency of a target is imported by one of its files", arguments: SourceTree.targetFolders)
  func everyDependencyIsUsed(folder: String) throws {
    let target = try #require(Self.manifest.targets.values.first { $0.folder == folder })
    let imported = Set(SourceTree.swiftFiles.filter { $0.path.hasPrefix(folder) }.flatMap(\.imports))
    for dependency in target.dependencies {
      #expect(imported.contains(dependency), "\(target.name) depends on \(dependency) and does not import it")
    }
  }

  @Test("No folder depends on a folder of the same target that depends on it", arguments: SourceTree.targetFolders)
  func noCircleOfFolders(folder: String) {
    let files = SourceTree.swiftFiles.filter { $0.path.hasPrefix(folder) }
    var owners: [String: Set<String>] = [:]
    for file in files {
      for name in file.declaredNames { owners[name, default: []].insert(file.folder) }
    }
    var graph = DependencyGraph()
    for file in files {
      for word in file.words {
        guard let folders = owners[word], !folders.contains(file.folder) else { continue }
        for other in folders { graph.add(file.folder, on: other, because: word) }
      }
    }
    #expect(graph.circle == nil)
  }

  @Test(
    "A coordinator links neither kernels nor a model",
    arguments: ["CKernels", "Layers", "Model", "ModelFiles", "Engine"])
  func coordinatorHasNoKernels(module: String) {
    #expect(!Self.manifest.closure(of: "Coordinator").contains(module))
  }

  @Test("No role depends on another one", arguments: roles)
  func rolesAreApart(role: String) {
    for other in Self.roles where other != role {
      #expect(!Self.manifest.closure(of: role).contains(other), "\(role) depends on \(other)")
    }
  }

  @Test("Only tests and fuzzers see what is made for them", arguments: ["FoveaTesting", "Fuzzing"])
  func testingStaysOutOfTheProduct(module: String) {
    #expect(!Self.manifest.closure(of: "fovea").contains(module))
  }

  @Test("Reinforcement is pure: it imports no other target")
  func reinforcementIsPure() {
    #expect(Self.manifest.targets["Reinforcement"]?.dependencies == [])
  }

  @Test("Words are those of the code, and of what is interpolated into texts")
  func words() {
    let file = SourceTree.File(
      path: "a.swift", text: #"let one = "two \(three(four) + "five") six" + seven // eight"# + "\n/// nine\nten()")
    #expect(file.words.subtracting(["let"]) == ["one", "three", "four", "seven", "ten"])
  }

  @Test("A circle of folders would be found")
  func circlesAreFound() {
    var graph = DependencyGraph()
    graph.add("a", on: "b", because: "B")
    graph.add("b", on: "c", because: "C")
    #expect(graph.circle == nil)
    graph.add("c", on: "a", because: "A")
    #expect(graph.circle == "a -> b (B) -> c (C) -> a (A)")
  }
}

private let systemModules: Set<String> = ["Foundation", "Glibc", "Synchronization", "Dispatch", "FoundationNetworking"]
