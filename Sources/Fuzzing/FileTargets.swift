import Learner
import Runs
import Settings
import Support
import Wire

/// Files that a person edits, and those that a run leaves for its next process.
extension FuzzTarget {
  static let files = [settings, keys, checkpoint, metrics]

  /// A YAML file, a NUL byte, and an override of the command line.
  private static let settings = FuzzTarget("settings") { bytes in
    let parts = FuzzInput.parts(bytes, count: 2)
    let override = String(decoding: parts[1], as: UTF8.self)
    let settings = try SettingsFile.load(
      yaml: parts[0], file: "settings.yaml", overrides: override.isEmpty ? [] : [override])
    promise(
      try SettingsFile.load(yaml: Array(settings.described().utf8), file: "written") == settings,
      "settings are read as they are written")
  }

  /// A byte that chooses: a public key, a secret one, or an allow-list.
  private static let keys = FuzzTarget("keys") { bytes in
    var input = FuzzInput(bytes)
    let kind = input.byte() % 3
    let file = input.remainder()
    switch kind {
    case 0: try NamelessFile.with(file) { _ = try KeyFile.readPublic($0) }
    case 1: try NamelessFile.with(file) { _ = try KeyFile.readSecret($0) }
    default:
      let list = try AllowList(text: String(decoding: file, as: UTF8.self), place: "allowed.keys")
      promise(try AllowList(text: list.text, place: "written") == list, "a list is read as it is written")
    }
  }

  /// A byte that chooses: a manifest, or the trainer's state.
  private static let checkpoint = FuzzTarget("checkpoint") { bytes in
    var input = FuzzInput(bytes)
    let isManifest = input.byte() % 2 == 0
    let file = input.remainder()
    if isManifest {
      let manifest = try CheckpointManifest(json: file, place: "MANIFEST.json")
      promise(
        try CheckpointManifest(json: manifest.json.serialized(), place: "written") == manifest,
        "a manifest is read as it is written")
    } else {
      let state = try TrainerState(json: JSON.parse(file, place: "trainer_state.json"), place: "trainer_state.json")
      let written = state.json.serialized()
      promise(
        try TrainerState(json: JSON.parse(written, place: "written"), place: "written").json.serialized() == written,
        "a state is read as it is written")
    }
  }

  private static let metrics = FuzzTarget("metrics") { bytes in
    let rows = try MetricsFile.rows(bytes[...], place: "metrics.jsonl")
    let written = rows.flatMap { MetricsFile.line($0) }
    promise(
      try MetricsFile.rows(written[...], place: "written").flatMap { MetricsFile.line($0) } == written,
      "rows are read as they are written")
    var history = MetricsHistory()
    for row in rows { history.append(row) }
    _ = history.secondsPerStep()
  }
}
