import CKernels

/// Cosines and sines of the rotary position embedding, `[positions, D/2]`, fp32 rounded from fp64.
///
/// Source: Su et al., 2021; Llama 3's scaling as its reference implementation does it. The angles are computed by our own
/// fp64 series, so that every machine has the same table.
package final class RotaryTable: Sendable {
  private let half: Int
  private let cosines: AlignedBuffer<Float>
  private let sines: AlignedBuffer<Float>
  package let positions: Int

  package init(config: ModelConfig, positions: Int) {
    half = config.headSize / 2
    self.positions = positions
    cosines = AlignedBuffer(count: positions * half)
    sines = AlignedBuffer(count: positions * half)
    let frequencies = Self.frequencies(config)
    for position in 0..<positions {
      for i in 0..<half {
        var cosine = 0.0
        var sine = 0.0
        fv_cosine_sine(Double(position) * frequencies[i], &cosine, &sine)
        cosines.pointer[position * half + i] = Float(cosine)
        sines.pointer[position * half + i] = Float(sine)
      }
    }
  }

  package func cosine(_ position: Int) -> UnsafePointer<Float> { UnsafePointer(cosines.pointer + position * half) }
  package func sine(_ position: Int) -> UnsafePointer<Float> { UnsafePointer(sines.pointer + position * half) }

  /// Radians per position of each pair, `[D/2]`.
  static func frequencies(_ config: ModelConfig) -> [Double] {
    let logTheta = fv_log(config.ropeTheta)
    return (0..<config.headSize / 2).map { i in
      let frequency = fv_exp(-Double(2 * i) / Double(config.headSize) * logTheta)
      guard let scaling = config.ropeScaling else { return frequency }
      let wavelength = 2 * Double.pi / frequency
      let lowWavelength = Double(scaling.originalMaxPositions) / scaling.lowFrequencyFactor
      let highWavelength = Double(scaling.originalMaxPositions) / scaling.highFrequencyFactor
      if wavelength < highWavelength { return frequency }
      if wavelength > lowWavelength { return frequency / scaling.factor }
      let smooth =
        (Double(scaling.originalMaxPositions) / wavelength - scaling.lowFrequencyFactor)
        / (scaling.highFrequencyFactor - scaling.lowFrequencyFactor)
      return (1 - smooth) * frequency / scaling.factor + smooth * frequency
    }
  }
}
