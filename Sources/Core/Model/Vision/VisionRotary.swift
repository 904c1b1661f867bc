import CKernels
import Glibc

/// Rotary positions in two dimensions, as Qwen2.5-VL's encoder has them: of each head's D/2 pairs, the first half turns
/// by the patch's height, the second half by its width.
///
/// Source: Qwen Team, "Qwen2.5-VL Technical Report", 2025. Angles come from our own fp64 series, as in `RotaryTable`.
package struct VisionRotary {
  private let headSize: Int
  private var sideCount = 0
  /// `[sides, D/4]`
  private var cosines: [Float] = []
  private var sines: [Float] = []

  package init(headSize: Int) { self.headSize = headSize }

  /// Makes the table reach positions below `sides`.
  package mutating func reserve(_ sides: Int) {
    guard sides > sideCount else { return }
    let quarter = headSize / 4
    for position in sideCount..<sides {
      for i in 0..<quarter {
        var cosine = 0.0
        var sine = 0.0
        let frequency = fv_exp(-Double(2 * i) / Double(headSize / 2) * fv_log(10_000))
        fv_cosine_sine(Double(position) * frequency, &cosine, &sine)
        cosines.append(Float(cosine))
        sines.append(Float(sine))
      }
    }
    sideCount = sides
  }

  /// Rotates `heads` heads of one row by the angles of its place; direction -1 rotates back.
  package func rotate(
    _ x: UnsafeMutablePointer<Float>, heads: Int, place: PackedImages.Place, direction: Float
  ) {
    let quarter = headSize / 4
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 4 * quarter) { angles in
      for i in 0..<quarter {
        angles[i] = cosines[Int(place.height) * quarter + i]
        angles[quarter + i] = cosines[Int(place.width) * quarter + i]
        angles[2 * quarter + i] = sines[Int(place.height) * quarter + i]
        angles[3 * quarter + i] = sines[Int(place.width) * quarter + i]
      }
      let cosine = angles.baseAddress!
      fv_rope(x, Int64(heads), Int64(headSize), cosine, cosine + 2 * quarter, direction)
    }
  }
}
