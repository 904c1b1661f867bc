import CKernels

/// AdamW over a whole `ParameterSet`, fp32, with both moments as parameter sets of the same layout.
///
/// Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019; the formula of `torch.optim.AdamW`. Element
/// by element, so the result does not depend on the number of threads.
public final class AdamW {
  /// Exponential mean of the gradients.
  public let firstMoments: ParameterSet
  /// Exponential mean of the squared gradients.
  public let secondMoments: ParameterSet
  /// Updates made; part of the bias correction.
  public var updateCount: UInt64 = 0
  private let pool: ThreadPool
  private let ranges: [Range<Int>]

  /// Moments of zero for parameters of this layout. Those that are not trainable are left alone, weight decay included.
  public init(parameters: ParameterSet, pool: ThreadPool, trainable: TrainableParameters = .all) {
    ranges = trainable.ranges(of: parameters)
    firstMoments = ParameterSet(parameters: parameters.parameters)
    secondMoments = ParameterSet(parameters: parameters.parameters)
    self.pool = pool
  }

  /// The Euclidean norm of all gradients together, summed in fp64 in one fixed order.
  public func globalNorm(_ gradients: ParameterSet) -> Double {
    let count = gradients.values.count
    let chunk = 1 << 16
    let sums = AlignedBuffer<Double>(count: (count + chunk - 1) / chunk)
    pool.run(count, chunk: chunk) { range in
      sums.pointer[range.lowerBound / chunk] = fv_sum_of_squares(
        gradients.values.pointer, Int64(range.lowerBound), Int64(range.upperBound))
    }
    return sums.elements.reduce(0, +).squareRoot()
  }

  /// One update. `gradientScale` multiplies the gradients first (clipping).
  public func step(
    parameters: ParameterSet, gradients: ParameterSet, gradientScale: Float, learningRate: Float, beta1: Float,
    beta2: Float, epsilon: Float, weightDecay: Float
  ) {
    let count = parameters.values.count
    precondition(gradients.values.count == count && firstMoments.values.count == count, "layouts differ")
    updateCount += 1
    func correction(_ beta: Float) -> Float {
      beta > 0 ? Float(1 - fv_exp(Double(updateCount) * fv_log(Double(beta)))) : 1
    }
    let settings = fv_adamw(
      learning_rate: learningRate, beta1: beta1, beta2: beta2, epsilon: epsilon, weight_decay: weightDecay,
      correction1: correction(beta1), correction2: correction(beta2), gradient_scale: gradientScale)
    for trained in ranges {
      pool.run(trained.count, chunk: 1 << 16) { range in
        withUnsafePointer(to: settings) {
          fv_adamw_step(
            $0, Int64(trained.lowerBound + range.lowerBound), Int64(trained.lowerBound + range.upperBound),
            parameters.values.pointer, gradients.values.pointer, firstMoments.values.pointer,
            secondMoments.values.pointer)
        }
      }
    }
  }
}
