// swift-tools-version: 6.2
import PackageDescription

// Imports go one way only:
//   C -> Core -> Imaging -> Fundus -> Settings, Tasks, Wire -> Evaluation, Coordinator | RolloutWorker | Learner | Console -> fovea
// No role imports another role; FoveaTesting and Fuzzing are imported by tests only, and by the fuzzers' driver.

let swift: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("ExistentialAny"),
]
let c: [CSetting] = [.treatAllWarnings(as: .error)]

func module(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: swift)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: swift)
}

let package = Package(
  name: "fovea",
  products: [.executable(name: "fovea", targets: ["fovea"])],
  targets: [
    // C libraries of the distribution. CZeroMQ names no pkgConfig: libzmq.pc carries a flag that SwiftPM refuses.
    .systemLibrary(name: "CZeroMQ"),
    .systemLibrary(name: "CProtobufC"),
    .systemLibrary(name: "CYAML"),
    .systemLibrary(name: "CPCRE2"),
    .systemLibrary(name: "CZstd"),
    .systemLibrary(name: "CXXHash"),
    .systemLibrary(name: "CZlib"),
    .systemLibrary(name: "CSQLite"),
    .systemLibrary(name: "CCURL"),

    // Calls that Swift cannot make itself.
    .systemLibrary(name: "CLinux"),

    .target(name: "CKernels", cSettings: c),
    // libjpeg-turbo and libpng, whose errors are longjmps that must not cross Swift.
    .target(
      name: "CImages", cSettings: c, linkerSettings: [.linkedLibrary("jpeg"), .linkedLibrary("png16")]),
    .target(name: "CWire", dependencies: ["CProtobufC"], cSettings: c),

    module("Core", ["CKernels", "CPCRE2", "CXXHash"]),
    module("Settings", ["Core", "CYAML"]),
    module("Imaging", ["Core", "CImages"]),
    // Drawn pictures of the eye with known findings, and questions about them. Synthetic; not for clinical use.
    module("Fundus", ["Core", "CKernels", "Imaging"]),
    module("Tasks", ["Core", "Imaging", "Fundus", "CZlib"]),
    // Held-out prompts, who answers them (a model here, a server elsewhere), and tables of scores.
    module("Evaluation", ["Core", "Imaging", "Settings", "Tasks", "CCURL"]),
    module("Wire", ["Core", "CWire", "CZeroMQ", "CZstd", "CXXHash"], exclude: ["farm.proto"]),

    module("Coordinator", ["Core", "Settings", "Tasks", "Wire", "CSQLite"]),
    module("RolloutWorker", ["Core", "Imaging", "Tasks", "Wire", "CLinux"]),
    module("Learner", ["Core", "Imaging", "Settings", "Wire", "CXXHash"]),

    // What a person at a terminal touches: arguments, live view, run directory, child processes. Knows no role.
    module("Console", ["Core", "Wire", "CLinux"]),

    .executableTarget(
      name: "fovea",
      dependencies: [
        "Core", "Imaging", "Fundus", "Settings", "Tasks", "Wire", "Coordinator", "RolloutWorker", "Learner",
        "Benchmarks", "Console", "Evaluation",
      ],
      swiftSettings: swift),

    module("Benchmarks", ["Core", "CKernels"]),
    // Everything that reads outside bytes, as deploy/fuzz and the replay of its corpora call it.
    module(
      "Fuzzing",
      [
        "Core", "Imaging", "Settings", "Tasks", "Evaluation", "Wire", "Coordinator", "RolloutWorker", "Learner",
        "Console", "CZlib", "FoveaTesting",
      ]),
    module("FoveaTesting", ["Core", "Settings", "Tasks", "Wire", "Coordinator", "RolloutWorker", "Learner"]),
    tests("CoreTests", ["Core", "CKernels", "FoveaTesting"]),
    tests("SettingsTests", ["Settings", "FoveaTesting"]),
    tests("ImagingTests", ["Core", "Imaging", "FoveaTesting"]),
    tests("FundusTests", ["Core", "Fundus", "Imaging", "Tasks"]),
    tests("TasksTests", ["Core", "Imaging", "Tasks", "FoveaTesting"]),
    tests("EvaluationTests", ["Core", "Evaluation", "Settings", "Tasks", "FoveaTesting"]),
    tests("WireTests", ["Core", "Wire", "FoveaTesting"]),
    tests("CoordinatorTests", ["Core", "Settings", "Tasks", "Wire", "Coordinator", "FoveaTesting"]),
    tests("RolloutWorkerTests", ["Core", "Tasks", "Wire", "RolloutWorker", "FoveaTesting"]),
    tests("LearnerTests", ["Core", "Settings", "Wire", "Coordinator", "Learner", "RolloutWorker", "FoveaTesting"]),
    tests("ConsoleTests", ["Core", "Wire", "Console", "FoveaTesting"]),
    tests("EndToEndTests", ["Core", "Settings", "Wire", "Console", "FoveaTesting"]),
    tests("BenchmarksTests", ["Core", "Benchmarks", "FoveaTesting"]),
    tests("FuzzingTests", ["Fuzzing"]),
    tests("TidyTests", []),
  ],
  cLanguageStandard: .c17
)

// libFuzzer brings a `main` of its own, so only deploy/fuzz, which links it, asks for this target.
if Context.environment["FOVEA_FUZZ"] != nil {
  package.targets.append(.executableTarget(name: "FuzzDriver", dependencies: ["Fuzzing"], swiftSettings: swift))
}
