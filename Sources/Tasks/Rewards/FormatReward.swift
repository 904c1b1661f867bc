import Prompts

/// 1 for a completion that is one think block and then one answer block, with nothing but white space around them, else
/// 0.
public struct FormatReward: Reward {
  public static let name = "format"
  public var name: String { Self.name }

  public init() {}

  public func score(_ completion: String, of prompt: RewardSpecification) -> [NamedScore] {
    [NamedScore(name, Response(completion).isWellFormed ? 1 : 0)]
  }
}
