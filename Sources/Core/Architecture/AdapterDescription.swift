import Support
import Tensor

/// What a low-rank adapter adds to a model: which linear layers it changes, by how much, and how wide it is.
///
/// An adapted layer computes with W + s B A instead of W `[out, in]`: A is `[rank, in]`, B is `[out, rank]`, s = alpha
/// / rank. Only A and B are trained. Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.
public struct AdapterDescription: Equatable, Sendable {
  public var rank: Int
  public var alpha: Double
  /// s = alpha / sqrt(rank). Source: Kalajdzievski, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA",
  /// 2023.
  public var isRankStabilized = false
  /// What W is rounded to before the adapter is added, so that a role that has W only in this precision computes the
  /// same.
  public var basePrecision: Precision
  /// The parameters W, in the canonical order.
  public var names: [String]

  public init(rank: Int, alpha: Double, basePrecision: Precision, names: [String]) {
    self.rank = rank
    self.alpha = alpha
    self.basePrecision = basePrecision
    self.names = names
  }

  /// The scale s.
  public var scale: Float { Float(alpha / (isRankStabilized ? Double(rank).squareRoot() : Double(rank))) }

  /// Whether both change the same layers in the same way, whatever their bases are rounded to.
  public func fits(_ other: AdapterDescription) -> Bool {
    var other = other
    other.basePrecision = basePrecision
    return self == other
  }

  /// The names of A and B of a parameter NAME.weight.
  package static func names(of weight: String) -> (a: String, b: String) {
    let layer = weight.dropLast(".weight".count)
    return ("\(layer).lora_A.weight", "\(layer).lora_B.weight")
  }

  /// The adapted parameters themselves, and A and B of each in turn, in the canonical order.
  ///
  /// - Throws: `InputError` for a rank that a layer cannot have, a layer that is not there, and none at all.
  package func shapes(
    in config: ModelConfig, place: String
  ) throws -> (weights: [ParameterShape], adapter: [ParameterShape]) {
    func failure(expected: String, found: String) -> InputError {
      InputError("adapt the model", at: place, expected: expected, found: found)
    }
    let wanted = Set(names)
    let weights = config.linearLayers.filter { wanted.contains($0.name) }
    if let stranger = wanted.subtracting(weights.map(\.name)).min() {
      throw failure(expected: "linear layers of the model", found: stranger)
    }
    guard !weights.isEmpty else { throw failure(expected: "a linear layer to adapt", found: "none") }
    for weight in weights where !(1...min(weight.rows, weight.depth)).contains(rank) {
      throw failure(
        expected: "a rank of 1 ... \(min(weight.rows, weight.depth)), for \(weight.name) is \(weight.shape)",
        found: "\(rank)")
    }
    let adapter = weights.flatMap { weight in
      let names = Self.names(of: weight.name)
      return [
        ParameterShape(name: names.a, shape: [rank, weight.depth]),
        ParameterShape(name: names.b, shape: [weight.rows, rank]),
      ]
    }
    return (weights, adapter)
  }
}

extension ModelConfig {
  /// The weights of the linear layers inside the model, in the canonical order: neither embeddings nor the head.
  package var linearLayers: [ParameterShape] {
    parameters.filter {
      $0.shape.count == 2 && $0.name.hasSuffix(".weight")
        && $0.name != "model.embed_tokens.weight" && $0.name != "lm_head.weight"
    }
  }
}
