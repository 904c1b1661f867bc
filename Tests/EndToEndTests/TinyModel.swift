import Architecture
import FoveaTesting
import ModelFiles
import Support
import Tensor

/// A random `ByteModel`, written as a Hugging Face folder: the smallest thing that a whole farm can train.
enum TinyModel {
  /// Writes the model.
  /// - Parameter seed: of the weights.
  static func write(to folder: String, seed: UInt64 = 1) throws {
    let description = try ByteModel.description()
    let parameters = ParameterSet(config: description.config)
    var random = RandomStream(seed: seed, purpose: .test)
    for (index, parameter) in parameters.parameters.enumerated() {
      let isNorm = parameter.name.hasSuffix("norm.weight")
      for scalar in parameters.scalars(index).indices {
        // A sum of uniforms is normal enough.
        let noise = (0..<4).reduce(Float(0)) { sum, _ in sum + random.uniform() - 0.5 }
        parameters.scalars(index)[scalar] = isNorm ? 1 + 0.1 * noise : 0.2 * noise
      }
    }
    try ModelSaver.save(description, parameters: parameters, to: folder, encoding: .float32)
  }
}
