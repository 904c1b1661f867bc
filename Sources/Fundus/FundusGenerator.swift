import Prompts
import Support

/// Endless questions about endless scenes, as pure functions of the run seed and a cursor. Synthetic; not for clinical
/// use.
///
/// Domains are equally likely, then the question types, then the families of the type. Training scenes have seeds below
/// `FundusScene.heldOutSeeds`, held-out scenes from there on: no scene is on both sides.
public struct FundusGenerator: Sendable {
  /// How many held-out samples there are.
  public static let heldOutCount = 1024

  private let imageSize: Int
  private let families: [QuestionFamily]
  private let seed: UInt64

  /// - Parameters:
  ///   - imageSize: width and height of the images in pixels, one of `FundusRenderer.sizes`.
  ///   - families: what is asked; at least one.
  ///   - seed: the run seed; chooses the training samples, never the held-out ones.
  public init(
    imageSize: Int = FundusRenderer.sizeDefault, families: [QuestionFamily] = QuestionFamily.allCases, seed: UInt64
  ) {
    precondition(FundusRenderer.sizes.contains(imageSize) && !families.isEmpty, "\(imageSize) pixels, \(families)")
    self.imageSize = imageSize
    self.families = families
    self.seed = seed
  }

  /// The training sample of a cursor.
  public func trainingSample(at cursor: UInt64) -> FundusSample {
    var random = RandomStream(
      seed: seed, purpose: .data, UInt32(truncatingIfNeeded: cursor >> 32), UInt32(truncatingIfNeeded: cursor))
    return sample(seed: random.next() % FundusScene.heldOutSeeds, using: &random)
  }

  /// A held-out sample: the same for every run seed. `index` is in 0 ..< heldOutCount.
  public func heldOutSample(at index: Int) -> FundusSample {
    precondition(0..<Self.heldOutCount ~= index, "held-out sample \(index)")
    var random = RandomStream(seed: 0, purpose: .data, .max, UInt32(index))
    return sample(seed: random.next() | FundusScene.heldOutSeeds, using: &random)
  }

  private func sample(seed: UInt64, using random: inout RandomStream) -> FundusSample {
    let domain = random.pick(QuestionDomain.allCases.filter { domain in families.contains { $0.domain == domain } })
    var asked = families.filter { $0.domain == domain }
    let type = random.pick(QuestionType.allCases.filter { type in asked.contains { $0.type == type } })
    asked.removeAll { $0.type != type }
    var writer = QuestionWriter(seed: seed)
    let (scene, question) = writer.write(random.pick(asked))
    return FundusSample(scene: scene, question: question, imageSize: imageSize)
  }
}
