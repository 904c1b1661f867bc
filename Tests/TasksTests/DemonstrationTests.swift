import Prompts
import Support
import Tasks
import Testing
import Training

@Suite("Demonstrations")
struct DemonstrationTests {
  private func arithmetic(reasonedShare: Double = 1) throws -> Demonstrations {
    Demonstrations(try makeDataset(TaskSettings(), seed: 1), .answers, reasonedShare: reasonedShare)
  }

  @Test("are the task's own prompts, with completions that score full marks")
  func answers() throws {
    let dataset = try makeDataset(TaskSettings(), seed: 1)
    for cursor in [UInt64(0), 7, 1 << 40] {
      let prompt = dataset.trainingPrompt(at: cursor)
      let demonstration = try #require(try arithmetic().training(at: cursor))
      #expect(demonstration.messages == prompt.messages)
      #expect(demonstration.completion == prompt.annotation.completion)
      let score = Scorer.score(text: demonstration.completion, prompt.reward)
      #expect(score.accuracy == 1)
      #expect(score.format == 1)
    }
    let heldOut = try #require(try arithmetic().heldOut(at: 3))
    #expect(heldOut.messages == dataset.heldOutPrompt(at: 3).messages)
  }

  @Test("show their reasoning in the share that is asked for, and are right without it too", arguments: [0, 0.4, 1])
  func reasonedShare(_ share: Double) throws {
    let demonstrations = try arithmetic(reasonedShare: share)
    let dataset = try makeDataset(TaskSettings(), seed: 1)
    var reasoned = 0
    for cursor in UInt64(0)..<400 {
      let demonstration = try #require(demonstrations.training(at: cursor))
      let score = Scorer.score(text: demonstration.completion, dataset.trainingPrompt(at: cursor).reward)
      #expect(score.accuracy == 1, "\(demonstration.completion)")
      #expect(score.format == 1, "\(demonstration.completion)")
      reasoned += demonstration.completion.hasPrefix("<think></think>") ? 0 : 1
      #expect(demonstrations.training(at: cursor) == demonstration)
    }
    // Three standard deviations of a binomial at 0.4 are 29.
    #expect(abs(Double(reasoned) - 400 * share) <= (share == 0.4 ? 29 : 0), "\(reasoned) of 400")
  }

  /// One prompt, with what its data writes.
  private struct Rows: PromptDataset {
    var annotation: PromptAnnotation
    var images: [PromptImage] = []
    let heldOutCount = 1

    func trainingPrompt(at cursor: UInt64) -> Prompt {
      Prompt(
        id: cursor, messages: [ChatMessage(role: "user", content: "What is it?")], images: images,
        reward: RewardSpecification(kind: "open_ended", reference: "an eye"), annotation: annotation)
    }

    func heldOutPrompt(at index: Int) -> Prompt { trainingPrompt(at: UInt64(index)) }
  }

  @Test("of captions ask for what every image shows, and say the caption")
  func captions() throws {
    let images = [PromptImage(bytes: [1]), PromptImage(bytes: [2])]
    let rows = Rows(annotation: PromptAnnotation(caption: "Two eyes."), images: images)
    let demonstration = try #require(Demonstrations(rows, .captions).training(at: 0))
    #expect(demonstration.completion == "Two eyes.")
    #expect(demonstration.images == images)
    #expect(demonstration.messages.map(\.role) == ["user"])
    #expect(PromptImage.placeholderCount(in: demonstration.messages[0].content) == 2)
  }

  @Test("are missing where the data writes none")
  func none() {
    let rows = Rows(annotation: PromptAnnotation(modality: "CFP"))
    #expect(Demonstrations(rows, .captions).training(at: 0) == nil)
    #expect(Demonstrations(rows, .answers).training(at: 0) == nil)
    #expect(Demonstrations(rows, .answers).heldOut(at: 0) == nil)
  }
}
