/// What a feed-forward block computes between its products.
public struct Activation: Equatable, Sendable {
  /// The nonlinear function, by its name in config.json (`hidden_act`).
  public enum Function: String, Equatable, Sendable, CaseIterable {
    case silu
    case gelu
    case geluTanh = "gelu_pytorch_tanh"
    case quickGELU = "quick_gelu"
  }

  public var function: Function
  /// Whether a second projection of the input, "up", is multiplied with the function of the first one, "gate".
  public var isGated: Bool

  public init(_ function: Function, isGated: Bool = false) {
    self.function = function
    self.isGated = isGated
  }

  public static var gelu: Activation { Activation(.gelu) }
  public static var geluTanh: Activation { Activation(.geluTanh) }
  public static var quickGELU: Activation { Activation(.quickGELU) }
  /// silu(gate) * up. Source: Shazeer, "GLU Variants Improve Transformer", 2020.
  public static var swiglu: Activation { Activation(.silu, isGated: true) }

  /// Whether there are kernels for it: silu is computed with a gate, and every form of GELU without one.
  public var isComputed: Bool { isGated == (function == .silu) }
}
