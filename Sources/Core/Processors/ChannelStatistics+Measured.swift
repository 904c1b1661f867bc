import Architecture
import Imaging

/// Mean and deviation of each channel over all pixels of some images, as shares of full brightness.
///
/// What preprocessor_config.json subtracts and divides by, so that a new encoder sees what differs between images
/// instead of what they have in common: photographs of one subject fill a narrow part of the range, and of it a small
/// encoder learns in a tenth of the steps.
extension ChannelStatistics {
  /// All pixels have the same weight. Sums are of integers, so their order does not matter.
  /// - Returns: nil without an image.
  public static func measured(over images: some Sequence<Image>) -> ChannelStatistics? {
    var count: UInt64 = 0
    var sums: [UInt64] = [0, 0, 0]
    var squares: [UInt64] = [0, 0, 0]
    for image in images {
      count += UInt64(image.width * image.height)
      for start in stride(from: 0, to: image.pixels.count, by: 3) {
        for channel in 0..<3 {
          let value = UInt64(image.pixels[start + channel])
          sums[channel] += value
          squares[channel] += value * value
        }
      }
    }
    guard count > 0 else { return nil }
    let means = sums.map { Double($0) / Double(count) }
    // A channel that never changes would be divided by 0; its pixels differ by less than a step.
    let deviations = zip(squares, means).map { square, mean in
      max(1, (Double(square) / Double(count) - mean * mean).squareRoot())
    }
    return ChannelStatistics(mean: means.map { $0 / 255 }, deviation: deviations.map { $0 / 255 })
  }
}
