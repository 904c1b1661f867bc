import Imaging
import Prompts
import SettingKeys
import Support

/// RetinaMNIST as a task, `retinamnist`: colour fundus photographs of 28 x 28 pixels and larger, with the grade of
/// diabetic retinopathy, 0 to 4. `task.train_file` is the npz file as its publisher offers it.
///
/// The questions are the grade (single choice, five options) and whether it reaches a threshold (true or false). The
/// file's train split is trained on and its test split is held out; its val split is not used. Source: MedMNIST v2; the
/// grades are DeepDRiD's.
struct RetinaMNISTDataset: PromptDataset {
  static let definition = TaskDefinition(
    "retinamnist", "the grade of diabetic retinopathy in small fundus photographs", trainFile: "an npz file",
    shared: [.trainFile, .questionTypes], make: { try RetinaMNISTDataset($0, seed: $1) })

  static let grades = [
    "No diabetic retinopathy", "Mild non-proliferative diabetic retinopathy",
    "Moderate non-proliferative diabetic retinopathy", "Severe non-proliferative diabetic retinopathy",
    "Proliferative diabetic retinopathy",
  ]

  private let training: RetinaMNISTSplit
  private let heldOut: RetinaMNISTSplit
  private let types: [QuestionType]
  private let shuffle: EpochShuffle
  private let seed: UInt64
  private let templates: ImageQuestionTemplates

  init(_ settings: TaskSettings, seed: UInt64) throws {
    let asked: Set<QuestionType> = try namedCases(settings.questionTypes, "task.question_types")
    types = [.singleChoice, .trueFalse].filter(asked.contains)
    guard !types.isEmpty else {
      throw InputError(
        "make dataset", at: "task.question_types", expected: "single_choice or true_false",
        found: settings.questionTypes.joined(separator: ", "))
    }
    let file = try NPZFile(path: settings.trainFile)
    training = try RetinaMNISTSplit("train", of: file, path: settings.trainFile)
    heldOut = try RetinaMNISTSplit("test", of: file, path: settings.trainFile)
    shuffle = EpochShuffle(count: training.count, seed: seed)
    self.seed = seed
    templates = ImageQuestionTemplates(settings)
  }

  var heldOutCount: Int { heldOut.count * types.count }

  func heldOutPrompt(at index: Int) -> Prompt {
    let row = index / types.count
    return prompt(id: UInt64(index), heldOut, row, types[index % types.count], threshold: 1 + row % 4)
  }

  func trainingPrompt(at cursor: UInt64) -> Prompt {
    let row = shuffle.row(at: cursor / UInt64(types.count))
    let type = types[Int(cursor % UInt64(types.count))]
    var random = RandomStream(
      seed: seed, purpose: .data, UInt32(truncatingIfNeeded: cursor >> 32), UInt32(truncatingIfNeeded: cursor))
    return prompt(id: cursor, training, row, type, threshold: 1 + Int(random.integer(below: 4)))
  }

  private func prompt(
    id: UInt64, _ split: RetinaMNISTSplit, _ row: Int, _ type: QuestionType, threshold: Int
  ) -> Prompt {
    let grade = split.grades[row]
    let options = type == .singleChoice ? Self.grades : ["True", "False"]
    let answer = type == .singleChoice ? grade : grade >= threshold ? 0 : 1
    let question =
      type == .singleChoice
      ? "Which grade of diabetic retinopathy does this colour fundus photograph show?"
      : threshold == 1
        ? "This colour fundus photograph shows diabetic retinopathy."
        : "This colour fundus photograph shows \(Self.grades[threshold].lowercased())\(threshold < 4 ? ", or worse" : "")."
    let list = options.enumerated().map { "\(OptionList.letter($0)). \($1)" }.joined(separator: "\n")
    return templates.prompt(
      id: id,
      Question(
        text: "\(question)\n\(list)", reasoning: "Grade \(grade): \(Self.grades[grade].lowercased()).",
        answer: String(OptionList.letter(answer)), type: type,
        options: [
          Scorer.Option.optionCount: "\(options.count)", Scorer.Option.isGrade: "\(type == .singleChoice)",
        ],
        images: [PromptImage(bytes: ImageFile.png(split.image(row)))], modality: Modality.cfp.rawValue,
        domain: Domain.inDomain.rawValue, caption: "A colour fundus photograph. \(Self.grades[grade])."))
  }
}

/// One split of the file: images and grades.
package struct RetinaMNISTSplit: Sendable {
  /// The grade of each image, 0 ... 4.
  package let grades: [Int]
  private let images: NPYArray

  /// - Throws: `InputError` when an array is missing or not of the right type and shape.
  package init(_ name: String, of file: NPZFile, path: String) throws {
    images = try file.array("\(name)_images")
    let labels = try file.array("\(name)_labels")
    func failure(_ array: String, expected: String, found: String) -> InputError {
      InputError("read RetinaMNIST", at: "\(path), array \(name)_\(array)", expected: expected, found: found)
    }
    let shape = images.shape
    guard images.element == .uint8, shape.count == 4, shape[0] >= 1, (1...1024).contains(shape[1]),
      (1...1024).contains(shape[2]), shape[3] == 3
    else {
      throw failure("images", expected: "bytes of shape [N, H, W, 3]", found: "\(images.element.rawValue) \(shape)")
    }
    guard labels.count == shape[0] else {
      throw failure("labels", expected: "\(shape[0]) grades", found: "\(labels.count)")
    }
    let grades = labels.doubles
    guard let wrong = grades.first(where: { !(0...4).contains($0) || $0 != $0.rounded() }) else {
      self.grades = grades.map { Int($0) }
      return
    }
    throw failure("labels", expected: "grades of 0 to 4", found: "\(wrong)")
  }

  package var count: Int { grades.count }

  package func image(_ row: Int) -> Image {
    let (height, width) = (images.shape[1], images.shape[2])
    let byteCount = height * width * 3
    return Image(
      width: width, height: height, pixels: Array(images.bytes[row * byteCount..<(row + 1) * byteCount]))
  }
}
