import Architecture
import CKernels
import Support
import Tensor

/// A random start for a model of any family.
///
/// A weight is drawn from N(0, 1/n), n the inputs of its product, so that outputs are as large as inputs; those that
/// write into the residual stream from a distribution narrower by the square root of 2 L, for L layers of two such
/// writers each. Embeddings of tokens have deviation 0.02, since they are the head too; those of places in an image
/// 1/sqrt(C). Norms are 1, biases 0, layer scales 0.1. The usual 0.02 for every weight suits widths above a thousand:
/// in a narrow encoder it leaves so little of an image that a small model learns to speak without ever learning to see.
///
/// Every parameter has a stream of its own, so its values follow from the seed, its place among the parameters, and
/// nothing else.
/// Source: LeCun et al., "Efficient BackProp", 1998; Radford et al., "Language Models are Unsupervised Multitask
/// Learners", 2019 (section 2.3); SigLIP's start in `transformers`.
extension ParameterSet {
  public static func random(config: ModelConfig, seed: UInt64) -> ParameterSet {
    let set = ParameterSet(config: config)
    for (index, parameter) in set.parameters.enumerated() {
      let name = parameter.name
      let scalars = set.scalars(index)
      if name.contains("norm") {
        scalars.update(repeating: name.hasSuffix(".bias") ? 0 : 1)
      } else if name.contains(".scale") {
        scalars.update(repeating: 0.1)
      } else if !name.hasSuffix(".bias") {
        fill(
          scalars, deviation: deviation(of: parameter, config),
          RandomStream(seed: seed, purpose: .initialization, UInt32(index)))
      }
    }
    return set
  }

  private static func deviation(of parameter: ParameterShape, _ config: ModelConfig) -> Double {
    let name = parameter.name
    switch name {
    case "model.embed_tokens.weight": return 0.02
    case "vision.class_embedding", "vision.position_embedding":
      return 1 / Double(parameter.shape.last ?? 1).squareRoot()
    default:
      let layers = name.hasPrefix("vision.") ? config.vision?.layerCount ?? 1 : config.layerCount
      let writesResidual = residualWriters.contains { name.hasSuffix($0) }
      return 1 / Double(parameter.depth * (writesResidual ? 2 * layers : 1)).squareRoot()
    }
  }

  /// The last projection of an attention and of a feed-forward part, in decoder and encoder.
  private static let residualWriters = [
    "self_attn.o_proj.weight", "mlp.down_proj.weight", "attention.output.weight", "mlp.fc2.weight", "mlp.down.weight",
  ]

  /// Normal numbers, two from two uniform ones.
  /// Source: Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958; in fp64 by our own logarithm,
  /// cosine and sine, so that every machine gets the same numbers.
  private static func fill(
    _ scalars: UnsafeMutableBufferPointer<Float>, deviation: Double, _ stream: RandomStream
  ) {
    var stream = stream
    for first in stride(from: 0, to: scalars.count, by: 2) {
      let radius = (-2 * fv_log(1 - Double(stream.uniform()))).squareRoot() * deviation
      var (cosine, sine) = (0.0, 0.0)
      fv_cosine_sine(2 * .pi * Double(stream.uniform()), &cosine, &sine)
      scalars[first] = Float(radius * cosine)
      if first + 1 < scalars.count { scalars[first + 1] = Float(radius * sine) }
    }
  }
}
