import Fundus
import Imaging
import Prompts
import SettingKeys
import Support

/// The built-in task with images, `synthetic-fundus`: questions about synthetic fundus photographs, basic ones that the
/// image alone answers and complex ones that need image and vignette. Synthetic; not for clinical use.
///
/// Every cursor has a scene of its own. Held-out scenes have seeds of their own, the same for every run. Each prompt's
/// annotation holds domain ("basic" or "complex"), caption and right completion. System prompt and templates follow the
/// released evaluation in structure and are as short as can be: models for this task start from nothing.
struct FundusDataset: PromptDataset {
  static let definition = TaskDefinition(
    "synthetic-fundus", "basic and complex questions about synthetic fundus photographs, built in",
    notice: "Synthetic; not for clinical use.",
    shared: [.modalities, .domains, .questionTypes, .partialCredit, .fuzzy],
    own: [
      .integer(
        "image_size", \.imageSize, 16...2048,
        "Width and height of the images in pixels. At 64 every sign is readable, and a model of a few million "
          + "parameters is fast."
      )
    ],
    make: { try FundusDataset($0, $1, seed: $2) })

  static let systemPrompt = "You are an ophthalmologist. Think, then answer."

  private let generator: FundusGenerator
  private let templates: [QuestionType: PromptTemplate]

  /// - Throws: `InputError` for settings that leave nothing to ask.
  init(_ settings: TaskSettings, _ options: FundusOptions, seed: UInt64) throws {
    func refusal(_ key: String, expected: String, found: String) -> InputError {
      InputError("make dataset", at: "task.\(key)", expected: expected, found: found)
    }
    let modalities: Set<Modality> = try namedCases(settings.modalities, "task.modalities")
    guard modalities.contains(.cfp) else {
      throw refusal("modalities", expected: "CFP", found: settings.modalities.joined(separator: ", "))
    }
    let domains: Set<QuestionDomain> = try namedCases(settings.domains, "task.domains")
    let types: Set<QuestionType> = try namedCases(settings.questionTypes, "task.question_types")
    let families = QuestionFamily.allCases.filter { domains.contains($0.domain) && types.contains($0.type) }
    guard !families.isEmpty else {
      throw refusal(
        "question_types", expected: "a type of question about images",
        found: settings.questionTypes.joined(separator: ", "))
    }
    let sizes = FundusRenderer.sizes
    guard sizes.contains(options.imageSize) else {
      throw refusal(
        "image_size", expected: "\(sizes.lowerBound) ... \(sizes.upperBound)", found: "\(options.imageSize)")
    }
    generator = FundusGenerator(imageSize: options.imageSize, families: families, seed: seed)
    let forms: [QuestionType: String] = [
      .trueFalse: "one letter", .singleChoice: "one letter", .multipleChoice: "letters, commas", .openEnded: "name",
    ]
    templates = forms.mapValues { form in
      PromptTemplate(
        settings, systemPrompt: Self.systemPrompt,
        questionTemplate: "{question}\n<think>reasoning</think><answer>\(form)</answer>", examples: [])
    }
  }

  var heldOutCount: Int { FundusGenerator.heldOutCount }

  func trainingPrompt(at cursor: UInt64) -> Prompt {
    prompt(id: cursor, generator.trainingSample(at: cursor))
  }

  func heldOutPrompt(at index: Int) -> Prompt {
    prompt(id: UInt64(index), generator.heldOutSample(at: index))
  }

  private func prompt(id: UInt64, _ sample: FundusSample) -> Prompt {
    let question = sample.question
    let family = question.family
    guard let template = templates[family.type] else { preconditionFailure("no template for \(family.type)") }
    var options: [String: String] = [:]
    if !question.options.isEmpty { options[Scorer.Option.optionCount] = "\(question.options.count)" }
    if family == .grade { options[Scorer.Option.isGrade] = "true" }
    return template.prompt(
      id: id,
      Question(
        text: "\(PromptImage.placeholder)\n\(question.text)", reasoning: question.reasoning, answer: question.answer,
        type: family.type, options: options, images: [PromptImage(bytes: ImageFile.png(sample.image))],
        modality: Modality.cfp.rawValue, domain: family.domain.rawValue, caption: sample.scene.caption))
  }
}

/// How the photographs of `synthetic-fundus` are drawn.
package struct FundusOptions: TaskOptions {
  /// Width and height of the images in pixels.
  package var imageSize = 64

  package init() {}
}
