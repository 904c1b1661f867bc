import Architecture
import CKernels
import Tensor

/// Cosines and sines of the rotary position embedding, `[positions, D/2]`, fp32 rounded from fp64.
///
/// Source: Su et al., 2021; Llama 3's scaling as its reference implementation does it. The angles are computed by our
/// own fp64 series, so that every machine has the same table.
package final class RotaryTable: Sendable {
  private let half: Int
  private let cosines: AlignedBuffer<Float>
  private let sines: AlignedBuffer<Float>
  package let positions: Int
  private let sections: [Int]?

  package init(config: ModelConfig, positions: Int) {
    half = config.headSize / 2
    self.positions = positions
    sections = config.block.rotary.sections
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

  /// Turns `heads` vectors of a row by its position; `direction` is 1, or -1 to turn back.
  package func rotate(_ values: UnsafeMutablePointer<Float>, heads: Int, at position: RotaryPosition, direction: Float)
  {
    let first = Int(position.time) * half
    guard let sections, position.time != position.height || position.time != position.width else {
      fv_rope(
        values, Int64(heads), Int64(2 * half), cosines.pointer + first, sines.pointer + first, direction)
      return
    }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * half) { scratch in
      let cosine = scratch.baseAddress!
      let sine = cosine + half
      var begin = 0
      for (section, part) in zip(sections, [position.time, position.height, position.width]) {
        let source = Int(part) * half + begin
        (cosine + begin).update(from: cosines.pointer + source, count: section)
        (sine + begin).update(from: sines.pointer + source, count: section)
        begin += section
      }
      fv_rope(values, Int64(heads), Int64(2 * half), cosine, sine, direction)
    }
  }

  /// Radians per position of each pair, `[D/2]`.
  static func frequencies(_ config: ModelConfig) -> [Double] {
    let logTheta = fv_log(config.block.rotary.theta)
    return (0..<config.headSize / 2).map { i in
      let frequency = fv_exp(-Double(2 * i) / Double(config.headSize) * logTheta)
      guard let scaling = config.block.rotary.scaling else { return frequency }
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
