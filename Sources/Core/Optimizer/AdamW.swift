import CKernels

/// AdamW over a whole `ParameterSet` of fp32, with both moments of the same layout, in fp32 or bf16.
///
/// Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019; the formula of `torch.optim.AdamW`. Element
/// by element, so the result does not depend on the number of threads.
public final class AdamW {
  /// Exponential mean of the gradients.
  public let firstMoments: MomentSet
  /// Exponential mean of the squared gradients.
  public let secondMoments: MomentSet
  /// Updates made; part of the bias correction, and of the key of the moments' rounding.
  public private(set) var updateCount: UInt64
  private let pool: ThreadPool
  private let ranges: [Range<Int>]

  /// Moments of zero for parameters of this layout. Those that are not trainable are left alone, weight decay included.
  /// - Parameter moments: bfloat16 halves their memory; they are rounded stochastically, so that their means are exact.
  public convenience init(
    parameters: ParameterSet, pool: ThreadPool, trainable: TrainableParameters = .all, moments: Precision = .float32
  ) {
    self.init(
      parameters: parameters, pool: pool, trainable: trainable,
      firstMoments: MomentSet(like: parameters, precision: moments),
      secondMoments: MomentSet(like: parameters, precision: moments), updateCount: 0)
  }

  /// Goes on from the moments and the count of a checkpoint.
  public init(
    parameters: ParameterSet, pool: ThreadPool, trainable: TrainableParameters = .all, firstMoments: MomentSet,
    secondMoments: MomentSet, updateCount: UInt64
  ) {
    precondition(
      firstMoments.parameters == parameters.parameters && secondMoments.parameters == parameters.parameters
        && firstMoments.precision == secondMoments.precision, "moments of another model")
    ranges = trainable.ranges(of: parameters)
    self.firstMoments = firstMoments
    self.secondMoments = secondMoments
    self.updateCount = updateCount
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
      correction1: correction(beta1), correction2: correction(beta2), gradient_scale: gradientScale,
      update: UInt32(truncatingIfNeeded: updateCount))
    for trained in ranges {
      pool.run(trained.count, chunk: 1 << 16) { range in
        withUnsafePointer(to: settings) {
          fv_adamw_step(
            $0, firstMoments.precision.kind, Int64(trained.lowerBound + range.lowerBound),
            Int64(trained.lowerBound + range.upperBound),
            parameters.values.pointer, gradients.values.pointer, firstMoments.values.at(0),
            secondMoments.values.at(0))
        }
      }
    }
  }
}
