import Glibc
import Support

/// Resizing to the byte as Pillow's `Image.resize` does it.
///
/// Two passes, columns then rows, each a weighted sum of the pixels under the filter's support, which widens when the
/// image shrinks (antialiasing). Weights are made in fp64, normalised, and rounded to fixed point with 22 fraction
/// bits; sums are 32-bit integers, rounded and clamped to 8 bits after each pass. So a vision encoder sees the pixels
/// that it was trained with. Columns always come first, as in the Pillow that the released models were trained and
/// measured with (11.3 is compared with). Pillow 13 starts with the rows when that is cheaper, which clamps other
/// values in between.
/// Source: Pillow, src/libImaging/Resample.c, whose arithmetic this follows.
public enum ResamplingFilter: Int, Sendable, CaseIterable {
  // The numbers are Pillow's, which preprocessor_config.json uses.
  case lanczos = 1
  case bilinear = 2
  case bicubic = 3
  case box = 4

  /// The distance from the centre, in source pixels without scaling, from which weights are 0.
  var support: Double {
    switch self {
    case .lanczos: 3
    case .bilinear: 1
    case .bicubic: 2
    case .box: 0.5
    }
  }

  func weight(at distance: Double) -> Double {
    let x = abs(distance)
    switch self {
    case .lanczos:
      return x < 3 ? Self.sinc(distance) * Self.sinc(distance / 3) : 0
    case .bilinear:
      return x < 1 ? 1 - x : 0
    case .bicubic:
      let a = -0.5
      if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
    case .box:
      return distance > -0.5 && distance <= 0.5 ? 1 : 0
    }
  }

  private static func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(x * .pi) / (x * .pi) }
}

extension Image {
  /// The most pixels that `resized` makes, and the longest side.
  public static let resizedPixelCountMax = 50_000_000
  public static let resizedSideMax = 1 << 16

  /// The image in another size.
  /// - Throws: `InputError` when the size, which outside input decides, is 0 or too large.
  public func resized(width: Int, height: Int, filter: ResamplingFilter = .bicubic) throws -> Image {
    guard (1...Self.resizedSideMax).contains(width), (1...Self.resizedSideMax).contains(height),
      width <= Self.resizedPixelCountMax / height,
      // Between the passes the image has its new width and its old height.
      width <= Self.resizedPixelCountMax / self.height
    else {
      throw InputError(
        "resize image", at: "\(self.width) x \(self.height) pixels",
        expected: "1 to \(Self.resizedPixelCountMax) pixels, a side at most \(Self.resizedSideMax)",
        found: "\(width) x \(height)")
    }
    var image = self
    if width != image.width { image = image.withColumns(Weights(from: image.width, to: width, filter)) }
    if height != image.height { image = image.withRows(Weights(from: image.height, to: height, filter)) }
    return image
  }

  private func withColumns(_ weights: Weights) -> Image {
    let width = weights.count
    let resized = [UInt8](unsafeUninitializedCapacity: width * height * 3) { out, count in
      pixels.withUnsafeBufferPointer { pixels in
        weights.values.withUnsafeBufferPointer { values in
          for y in 0..<height {
            let row = y * self.width * 3
            for x in 0..<width {
              let (start, length) = weights.spans[x]
              // The four lanes are a pixel and what follows it; the last lane is not used.
              var sum = SIMD4<Int32>(repeating: Weights.half)
              for k in 0..<length {
                let at = row + (start + k) * 3
                sum &+=
                  SIMD4(Int32(pixels[at]), Int32(pixels[at + 1]), Int32(pixels[at + 2]), 0)
                  &* values[x * weights.stride + k]
              }
              let at = (y * width + x) * 3
              for c in 0..<3 { out[at + c] = Weights.clamped(sum[c]) }
            }
          }
        }
      }
      count = width * height * 3
    }
    return Image(width: width, height: height, pixels: resized)
  }

  private func withRows(_ weights: Weights) -> Image {
    let height = weights.count
    let rowCount = width * 3
    var sums = [Int32](repeating: 0, count: rowCount)
    let resized = [UInt8](unsafeUninitializedCapacity: rowCount * height) { out, count in
      sums.withUnsafeMutableBufferPointer { sums in
        pixels.withUnsafeBufferPointer { pixels in
          for y in 0..<height {
            let (start, length) = weights.spans[y]
            sums.update(repeating: Weights.half)
            for k in 0..<length {
              let weight = weights.values[y * weights.stride + k]
              let row = UnsafeBufferPointer(rebasing: pixels[(start + k) * rowCount..<(start + k + 1) * rowCount])
              for i in 0..<rowCount { sums[i] &+= Int32(row[i]) &* weight }
            }
            for i in 0..<rowCount { out[y * rowCount + i] = Weights.clamped(sums[i]) }
          }
        }
      }
      count = rowCount * height
    }
    return Image(width: width, height: height, pixels: resized)
  }
}

/// For each pixel of a resized line, the source pixels under the filter and their weights in fixed point.
private struct Weights {
  static let fractionBits: Int32 = 22
  static let half: Int32 = 1 << (fractionBits - 1)

  /// Pixels of the resized line.
  let count: Int
  /// First source pixel and number of them, a pixel of the line.
  private(set) var spans: [(start: Int, length: Int)] = []
  /// Places a pixel of the line has in `values`.
  let stride: Int
  private(set) var values: [Int32]

  static func clamped(_ sum: Int32) -> UInt8 { UInt8(clamping: sum >> fractionBits) }

  init(from sourceCount: Int, to count: Int, _ filter: ResamplingFilter) {
    self.count = count
    let scale = Double(sourceCount) / Double(count)
    let widening = max(scale, 1)
    let support = filter.support * widening
    stride = Int(support.rounded(.up)) * 2 + 1
    values = [Int32](repeating: 0, count: count * stride)
    spans.reserveCapacity(count)
    for index in 0..<count {
      let center = (Double(index) + 0.5) * scale
      let start = max(0, Int(center - support + 0.5))
      let end = min(sourceCount, Int(center + support + 0.5))
      let weights = (start..<end).map { filter.weight(at: (Double($0) - center + 0.5) * (1 / widening)) }
      let total = weights.reduce(0, +)
      for (k, weight) in weights.enumerated() {
        let fixed = (total == 0 ? weight : weight / total) * Double(1 << Int(Self.fractionBits))
        values[index * stride + k] = Int32(fixed < 0 ? fixed - 0.5 : fixed + 0.5)
      }
      spans.append((start, end - start))
    }
  }
}
