import Architecture
import CKernels
import Layers
import Tensor

/// AdamW over a `ParameterSet` of fp32, with both moments of what is trained of it, in fp32 or bf16.
///
/// Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019; the formula of `torch.optim.AdamW`.
/// Element by element, so the result does not depend on the number of threads.
public final class AdamW {
  /// Exponential mean of the gradients.
  public let firstMoments: MomentSet
  /// Exponential mean of the squared gradients.
  public let secondMoments: MomentSet
  /// Updates made; part of the bias correction, and of the key of the moments' rounding.
  public private(set) var updateCount: UInt64
  private let pool: ThreadPool
  /// Scalars that are trained, and the place of the first one's moments.
  private let ranges: [(scalars: Range<Int>, moment: Int)]

  /// Moments of zero for parameters of this layout. Those that are not trainable are left alone, weight decay included.
  /// - Parameter moments: bfloat16 halves their memory; they are rounded stochastically, so that their means are exact.
  public convenience init(
    parameters: ParameterSet, pool: ThreadPool, trainable: TrainableParameters = .all, moments: Precision = .float32
  ) {
    let trained = trainable.parameters(of: parameters.parameters)
    self.init(
      parameters: parameters, pool: pool, trainable: trainable,
      firstMoments: MomentSet(trained, precision: moments), secondMoments: MomentSet(trained, precision: moments),
      updateCount: 0)
  }

  /// Resumes from the moments and the count of a checkpoint.
  public init(
    parameters: ParameterSet, pool: ThreadPool, trainable: TrainableParameters = .all, firstMoments: MomentSet,
    secondMoments: MomentSet, updateCount: UInt64
  ) {
    let trained = trainable.parameters(of: parameters.parameters)
    precondition(
      firstMoments.parameters == trained && secondMoments.parameters == trained
        && firstMoments.precision == secondMoments.precision, "moments of another model, or of other parts of it")
    var moment = 0
    ranges = trainable.ranges(of: parameters).map { scalars in
      defer { moment += scalars.count }
      return (scalars, moment)
    }
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
    precondition(gradients.values.count == parameters.values.count, "layouts differ")
    updateCount += 1
    func correction(_ beta: Float) -> Float {
      beta > 0 ? Float(1 - fv_exp(Double(updateCount) * fv_log(Double(beta)))) : 1
    }
    let settings = fv_adamw(
      learning_rate: learningRate, beta1: beta1, beta2: beta2, epsilon: epsilon, weight_decay: weightDecay,
      correction1: correction(beta1), correction2: correction(beta2), gradient_scale: gradientScale,
      update: UInt32(truncatingIfNeeded: updateCount))
    for (scalars, moment) in ranges {
      // The kernel counts as the moments do.
      let ahead = scalars.lowerBound - moment
      pool.run(scalars.count, chunk: 1 << 16) { range in
        withUnsafePointer(to: settings) {
          fv_adamw_step(
            $0, firstMoments.precision.kind, Int64(moment + range.lowerBound), Int64(moment + range.upperBound),
            parameters.values.pointer + ahead, gradients.values.pointer + ahead, firstMoments.values.at(0),
            secondMoments.values.at(0))
        }
      }
    }
  }
}
