import Imaging
import Prompts
import Support

/// A question with its scene; the image is drawn when it is asked for. Synthetic; not for clinical use.
public struct FundusSample: Equatable, Sendable {
  public let scene: FundusScene
  public let question: FundusQuestion
  let imageSize: Int

  public var image: Image { FundusRenderer.render(scene, size: imageSize) }

  /// The sample as a row of MM-Retinal-Reason, with its family and domain in keys of their own.
  /// - Parameter image: the path of the image's file.
  public func row(image: String) -> JSON {
    func turn(_ role: String, _ text: String) -> JSON { .object(["from": .string(role), "value": .string(text)]) }
    return .object([
      "image": .array([.string(image)]),
      "conversations": .array([turn("human", question.text), turn("gpt", question.answer)]),
      "reason": .string(question.reasoning), "caption": .string(scene.caption),
      "title": .string("Synthetic; not for clinical use"), "modality": .string("CFP"),
      "type": .string(question.family.type.rawValue), "family": .string(question.family.rawValue),
      "difficulty": .string(question.family.domain.rawValue),
    ])
  }
}
