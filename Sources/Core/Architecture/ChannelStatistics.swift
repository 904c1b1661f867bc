/// What a model's preprocessor subtracts from each channel and divides by; red, green and blue, as shares of full
/// brightness.
public struct ChannelStatistics: Equatable, Sendable {
  public var mean: [Double]
  public var deviation: [Double]

  public init(mean: [Double], deviation: [Double]) {
    precondition(mean.count == 3 && deviation.count == 3 && deviation.allSatisfy { $0 > 0 }, "three channels")
    self.mean = mean
    self.deviation = deviation
  }

  /// SigLIP's, for any images: brightness becomes -1 to 1.
  public static let full = ChannelStatistics(mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])
}
