import Foundation
import Fundus
import Imaging
import Prompts
import Support
import Tasks
import Testing

@Suite("The synthetic-fundus task")
struct DatasetTests {
  private func settings(domains: [String] = [], types: [String] = [], imageSize: Int = 64) -> TaskSettings {
    var settings = TaskSettings()
    settings.name = "synthetic-fundus"
    settings.domains = domains
    settings.questionTypes = types
    settings[FundusOptions.self].imageSize = imageSize
    return settings
  }

  @Test("A prompt shows its scene's image, pixel by pixel, where its text says so")
  func images() throws {
    let dataset = try makeDataset(settings(imageSize: 48), seed: 5)
    let generator = FundusGenerator(seed: 5)
    for cursor in UInt64(0)..<20 {
      let prompt = dataset.trainingPrompt(at: cursor)
      #expect(prompt.id == cursor)
      #expect(prompt.images.count == 1)
      #expect(prompt.messages.map { PromptImage.placeholderCount(in: $0.content) } == [0, 1])
      let image = try ImageFile.decode(prompt.images[0].bytes, place: "prompt")
      #expect(image == FundusRenderer.render(generator.trainingSample(at: cursor).scene, size: 48))
    }
  }

  @Test("The annotated completion scores 1, that of another answer 0")
  func scores() throws {
    let dataset = try makeDataset(settings(), seed: 5)
    var last: Prompt?
    for cursor in UInt64(0)..<600 {
      let prompt = dataset.trainingPrompt(at: cursor)
      let completion = try #require(prompt.annotation.completion)
      let right = Scorer.score(text: completion, prompt.reward)
      #expect(right.accuracy == 1, "\(completion)")
      #expect(right.format == 1, "\(completion)")
      if let last, last.reward.reference != prompt.reward.reference {
        let wrong = Scorer.score(text: completion, last.reward)
        #expect(wrong.accuracy == 0, "\(completion) for \(last.reward)")
      }
      last = prompt
    }
  }

  @Test("Domains and question types choose what is asked", arguments: ["basic", "complex"])
  func selection(domain: String) throws {
    let dataset = try makeDataset(settings(domains: [domain], types: ["single_choice", "open_ended"]), seed: 2)
    let prompts = (0..<60).map { dataset.trainingPrompt(at: $0) } + (0..<60).map { dataset.heldOutPrompt(at: $0) }
    #expect(prompts.allSatisfy { $0.annotation.domain == domain })
    #expect(prompts.allSatisfy { $0.annotation.modality == "CFP" })
    #expect(Set(prompts.map(\.reward.kind)) == ["single_choice", "open_ended"])
  }

  @Test("Exported rows are rows of MM-Retinal-Reason that say the same, and that they are synthetic")
  func rows() throws {
    let generator = FundusGenerator(seed: 6)
    let samples = (0..<100).map { generator.trainingSample(at: $0) }
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("fundus-\(getpid()).json")
    defer { try? FileManager.default.removeItem(at: path) }
    try Data(JSON.array(samples.map { $0.row(image: "a.png") }).serialized()).write(to: path)
    try MMRetinalReasonFile(path: path.path).forEachRow(check: .none) { place, row in
      let (row, question) = (try row.get().row, samples[place.index].question)
      #expect(row.question == question.text)
      #expect(row.answer == question.answer)
      #expect(row.reason == question.reasoning)
      #expect(row.type == question.family.type)
      #expect(row.modality == .cfp)
      #expect(row.title == "Synthetic; not for clinical use")
    }
  }

  @Test("Every caption says that the photograph is synthetic")
  func labels() throws {
    let dataset = try makeDataset(settings(), seed: 1)
    for cursor in UInt64(0)..<20 {
      #expect(dataset.trainingPrompt(at: cursor).annotation.caption?.hasPrefix("Synthetic photograph of a ") == true)
    }
  }

  @Test("The vocabulary is small and closed, and texts are short")
  func vocabulary() throws {
    let dataset = try makeDataset(settings(imageSize: 16), seed: 4)
    let texts = (UInt64(0)..<6000).flatMap { cursor -> [String] in
      let prompt = dataset.trainingPrompt(at: cursor)
      return prompt.messages.map(\.content) + [prompt.annotation.completion ?? "", prompt.annotation.caption ?? ""]
    }
    func words(_ texts: some Sequence<String>) -> Set<String> {
      Set(texts.flatMap { $0.split { " \n.,:?<>/".contains($0) }.map(String.init) })
    }
    let all = words(texts)
    #expect(all == words(texts.prefix(texts.count / 2)))
    #expect(all.count < 200, "\(all.count) words: \(all.sorted())")
    #expect(texts.allSatisfy { $0.utf8.count < 500 })
  }

  @Test("Settings that leave nothing to ask or draw are refused")
  func refusals() {
    for settings in [
      settings(domains: ["in_domain"]), settings(types: ["number"]), settings(types: ["riddle"]),
      settings(imageSize: 8), settings(imageSize: 100_000),
    ] { #expect(throws: InputError.self) { try makeDataset(settings, seed: 0) } }
    var angiograms = settings()
    angiograms.modalities = ["FFA"]
    #expect(throws: InputError.self) { try makeDataset(angiograms, seed: 0) }
  }
}
