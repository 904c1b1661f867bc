/// What a run's settings say of its adapter.
public struct AdapterSettings: Equatable, Sendable {
  /// 0 trains the weights themselves.
  public var rank = 0
  public var alpha = 16.0
  /// Names of layers, or ends of names, as PEFT matches them; `allLinear` takes every linear layer.
  public var targets = [AdapterSettings.allLinear]

  public static let allLinear = "all-linear"

  public init() {}
}
