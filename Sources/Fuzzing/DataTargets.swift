import Prompts
import Support
import Tasks

/// Data sets, as they are downloaded from anywhere, and what a policy answers.
extension FuzzTarget {
  static let data = [npy, npz, retinalReason, table, questions]

  private static let npy = FuzzTarget("npy") { bytes in
    let array = try NPYArray(file: bytes, place: "array.npy")
    promise(array.shape.reduce(1, *) == array.count && array.doubles.count == array.count, "an array has its elements")
  }

  private static let npz = FuzzTarget("npz") { bytes in
    let file = try NPZFile(MappedFile(bytes: bytes, path: "arrays.npz"))
    if let split = try? RetinaMNISTSplit("train", of: file, path: "arrays.npz") {
      promise(split.grades.allSatisfy { (0...4).contains($0) }, "grades are 0 to 4")
      _ = split.image(split.count - 1)
    }
    for name in file.names { _ = try file.array(name) }
  }

  /// Rows of MM-Retinal-Reason with their images. No path of a row is opened.
  private static let retinalReason = FuzzTarget("mm_retinal_reason") { bytes in
    try NamelessFile.with(bytes) { path in
      var rowCount = 0
      var failure: InputError?
      try MMRetinalReasonFile(path: path).forEachRow(check: .none) { _, row in
        switch row {
        case .success(let (row, _)):
          rowCount += 1
          for case .encoded(let image) in row.images { try? decode(image) }
        case .failure(let error): failure = error
        }
      }
      if let failure, rowCount == 0 { throw failure }
    }
  }

  private static let table = FuzzTarget("table") { bytes in
    try NamelessFile.with(bytes) { path in
      let table = try Base64Table(path: path)
      for name in ["a.png", "b,c.png", ""] { _ = try table.bytes(name) }
    }
  }

  /// A byte that chooses the task, rows of JSON, a NUL byte, and a completion that answers them.
  private static let questions = FuzzTarget("questions") { bytes in
    var input = FuzzInput(bytes)
    var settings = TaskSettings()
    let kind = Int(input.byte())
    settings.name = ["gsm8k", "multiple_choice", "open_ended"][kind % 3]
    settings.heldOutShare = 0.5
    settings.partialCredit = kind & 64 != 0
    settings.fuzzy = kind & 128 != 0
    let parts = FuzzInput.parts(input.remainder(), count: 2)
    let completion = String(decoding: parts[1], as: UTF8.self)
    try NamelessFile.with(parts[0]) { path in
      settings.trainFile = path
      let dataset = try makeDataset(settings, seed: 1)
      let prompts = [dataset.trainingPrompt(at: 0), dataset.trainingPrompt(at: 7), dataset.heldOutPrompt(at: 0)]
      for prompt in prompts {
        for text in [completion, "<think>so</think><answer>\(completion)</answer>"] {
          let score = Scorer.score(text: text, prompt.reward)
          promise((0...1).contains(score.accuracy) && (0...1).contains(score.format), "a score is 0 to 1")
        }
      }
    }
  }
}
