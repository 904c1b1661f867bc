// swift-tools-version: 6.2
import PackageDescription

// Imports go one way only:
//   C -> Core/* -> Imaging -> Fundus, SettingKeys -> Tasks -> Settings, Wire -> Evaluation, Runs
//     -> Coordinator | RolloutWorker | Learner | Console -> Experiments -> fovea
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

/// A target of Sources/Core.
func core(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, path: "Sources/Core/\(name)", swiftSettings: swift)
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

    // Scalar functions with the same bits on every machine, which the kernels and the synthetic photographs share.
    .target(name: "CScalarMath", cSettings: c),
    .target(name: "CKernels", dependencies: ["CScalarMath"], cSettings: c),
    // libjpeg-turbo and libpng, whose errors are longjmps that must not cross Swift.
    .target(
      name: "CImages", cSettings: c, linkerSettings: [.linkedLibrary("jpeg"), .linkedLibrary("png16")]),
    .target(name: "CWire", dependencies: ["CProtobufC"], cSettings: c),

    // What has no kernels: all that a coordinator needs.
    core("Support", []),
    core("Prompts", ["CXXHash"]),
    core("Tensor", ["CXXHash"]),
    core("Architecture", ["Support", "Tensor"]),
    core("Tokenizers", ["Support", "Prompts", "CPCRE2"]),
    core("Reinforcement", []),
    // What computes.
    core("Layers", ["Support", "Tensor", "Architecture", "CKernels"]),
    core("Model", ["Support", "Tensor", "Architecture", "Layers", "CKernels"]),
    core("ModelFiles", ["Support", "Prompts", "Tensor", "Architecture", "Tokenizers", "Layers", "Model"]),
    core("Processors", ["Support", "Prompts", "Architecture", "Tokenizers", "ModelFiles", "Imaging"]),
    core("Engine", ["Support", "Prompts", "Tensor", "Architecture", "Layers", "Model", "CKernels"]),
    core("Training", ["Tensor", "Architecture", "Layers", "Model", "CKernels"]),

    module("Imaging", ["Support", "CImages"]),
    // Synthetic fundus photographs with known findings, and questions about them; not for clinical use.
    module("Fundus", ["Support", "Prompts", "Imaging", "CScalarMath"]),
    // What a key of the settings is, and the YAML that it is read from. Tasks declare their own keys; Settings has all.
    module("SettingKeys", ["Support", "CYAML"]),
    module("Tasks", ["Support", "Prompts", "Imaging", "Fundus", "SettingKeys", "CZlib"]),
    module("Settings", ["Support", "Prompts", "Tensor", "Architecture", "Reinforcement", "Tasks", "SettingKeys"]),
    // Held-out prompts, who answers them (a model here, a server elsewhere), and tables of scores.
    module(
      "Evaluation",
      [
        "Support", "Prompts", "Tensor", "Architecture", "Tokenizers", "Layers", "Model", "ModelFiles", "Processors",
        "Engine", "Imaging", "Settings", "Tasks", "CCURL",
      ]),
    module(
      "Wire", ["Support", "Prompts", "Tensor", "Architecture", "CProtobufC", "CWire", "CXXHash", "CZeroMQ", "CZstd"],
      exclude: ["farm.proto"]),

    // The folder of a run: paths, metrics, samples, the list of checkpoints, and how far the run is. Computes nothing.
    module("Runs", ["Support", "Prompts", "Wire", "CLinux", "CXXHash"]),

    module("Coordinator", ["Support", "Prompts", "Settings", "Tasks", "Wire", "CSQLite"]),
    module(
      "RolloutWorker",
      [
        "Support", "Prompts", "Tensor", "Architecture", "Tokenizers", "Layers", "Model", "ModelFiles", "Processors",
        "Engine", "Imaging", "Tasks", "Wire", "CLinux",
      ]),
    module(
      "Learner",
      [
        "Support", "Prompts", "Tensor", "Architecture", "Tokenizers", "Reinforcement", "Layers", "Model", "ModelFiles",
        "Processors", "Training", "Imaging", "Settings", "Tasks", "Wire", "Runs",
      ]),

    // What a person at a terminal touches: arguments, live view, child processes. Knows no role.
    module("Console", ["Support", "Reinforcement", "Wire", "Runs", "CLinux"]),

    // Whole experiments out of the roles: ablations, and a dry run of a step. `fovea` only asks for them.
    module(
      "Experiments",
      [
        "Support", "Prompts", "Tensor", "Tokenizers", "Reinforcement", "Layers", "Model", "ModelFiles", "Processors",
        "Engine", "Training", "Imaging", "Settings", "Tasks", "Wire", "Runs", "Evaluation", "Coordinator",
        "RolloutWorker", "Learner",
      ]),

    .executableTarget(
      name: "fovea",
      dependencies: [
        "Support", "Prompts", "Tensor", "Architecture", "Tokenizers", "Reinforcement", "Layers", "Model", "ModelFiles",
        "Processors", "Engine", "Training", "Imaging", "Fundus", "Settings", "Tasks", "Wire", "Runs", "Evaluation",
        "Coordinator", "RolloutWorker", "Learner", "Console", "Benchmarks", "Experiments",
      ],
      swiftSettings: swift),

    module(
      "Benchmarks",
      ["Support", "Prompts", "Tensor", "Architecture", "Layers", "Model", "Engine", "Training", "CKernels"]),
    // Everything that reads outside bytes, as deploy/fuzz and the replay of its corpora call it.
    module(
      "Fuzzing",
      [
        "Support", "Prompts", "Tensor", "Architecture", "Tokenizers", "Layers", "Model", "ModelFiles", "Processors",
        "Imaging", "Settings", "Tasks", "Wire", "Runs", "Evaluation", "Coordinator", "RolloutWorker", "Learner",
        "FoveaTesting", "CZlib",
      ]),
    module(
      "FoveaTesting",
      [
        "Support", "Prompts", "Tensor", "Architecture", "Tokenizers", "ModelFiles", "Training", "Settings", "Tasks",
        "Wire", "Coordinator", "RolloutWorker", "Learner",
      ]),
    tests(
      "CoreTests",
      [
        "Support", "Prompts", "Tensor", "Architecture", "Tokenizers", "Reinforcement", "Layers", "Model", "ModelFiles",
        "Engine", "Training", "FoveaTesting", "CKernels",
      ]),
    tests("SettingsTests", ["Support", "Prompts", "Tensor", "Reinforcement", "Settings", "Tasks", "SettingKeys"]),
    tests(
      "ImagingTests",
      [
        "Support", "Prompts", "Tensor", "Architecture", "Tokenizers", "Layers", "ModelFiles", "Processors", "Training",
        "Imaging",
      ]),
    tests("FundusTests", ["Support", "Prompts", "Imaging", "Fundus", "Tasks"]),
    tests("TasksTests", ["Support", "Prompts", "Training", "Imaging", "Tasks", "SettingKeys"]),
    tests("EvaluationTests", ["Support", "Prompts", "Settings", "Tasks", "Evaluation"]),
    tests(
      "ExperimentsTests",
      [
        "Support", "Prompts", "Reinforcement", "Layers", "ModelFiles", "Settings", "Wire", "Runs", "Evaluation",
        "Learner", "Experiments", "FoveaTesting",
      ]),
    tests("RunsTests", ["Support", "Wire", "Runs"]),
    tests("WireTests", ["Support", "Prompts", "Tensor", "Architecture", "Wire"]),
    tests("CoordinatorTests", ["Support", "Prompts", "Settings", "Wire", "Coordinator", "FoveaTesting"]),
    tests(
      "RolloutWorkerTests",
      [
        "Support", "Prompts", "Tensor", "Architecture", "Layers", "Model", "ModelFiles", "Engine", "Training", "Tasks",
        "Wire", "RolloutWorker", "FoveaTesting",
      ]),
    tests(
      "LearnerTests",
      [
        "Support", "Prompts", "Tensor", "Architecture", "Reinforcement", "Layers", "ModelFiles", "Training", "Settings",
        "Tasks", "Wire", "Runs", "Coordinator", "RolloutWorker", "Learner", "FoveaTesting",
      ]),
    tests("ConsoleTests", ["Support", "Reinforcement", "Wire", "Runs", "Console"]),
    tests(
      "EndToEndTests", ["Support", "Tensor", "Architecture", "ModelFiles", "Wire", "Runs", "Console", "FoveaTesting"]),
    tests("BenchmarksTests", ["Tensor", "Layers", "Benchmarks", "FoveaTesting"]),
    tests("FuzzingTests", ["Fuzzing"]),
    tests("TidyTests", []),
  ],
  cLanguageStandard: .c17
)

// libFuzzer brings a `main` of its own, so only deploy/fuzz, which links it, asks for this target.
if Context.environment["FOVEA_FUZZ"] != nil {
  package.targets.append(.executableTarget(name: "FuzzDriver", dependencies: ["Fuzzing"], swiftSettings: swift))
}
