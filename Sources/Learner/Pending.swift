import Core
// Stand-ins until Core has them.
public struct TrainingGroup { public var promptTokens: [Int32]; public var completions: [[Int32]]
  public init(promptTokens: [Int32], completions: [[Int32]]) { self.promptTokens = promptTokens; self.completions = completions } }
public struct SequenceScores { public var logProbabilities: [Float]; public var entropies: [Float]
  public init(logProbabilities: [Float], entropies: [Float]) { self.logProbabilities = logProbabilities; self.entropies = entropies } }
public final class ThreadPool: Sendable { public init(threads: Int) {} }
public final class AdamW {
  public let firstMoments: ParameterSet
  public let secondMoments: ParameterSet
  public var updateCount: UInt64 = 0
  public init(parameters: ParameterSet, pool: ThreadPool) {
    firstMoments = ParameterSet(parameters: parameters.parameters)
    secondMoments = ParameterSet(parameters: parameters.parameters)
  }
  public func globalNorm(_ g: ParameterSet) -> Double { g.values.elements.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot() }
  public func step(parameters: ParameterSet, gradients: ParameterSet, gradientScale: Float, learningRate: Float, beta1: Float, beta2: Float, epsilon: Float, weightDecay: Float) {
    updateCount += 1
    let c1 = 1 - powf(beta1, Float(updateCount)), c2 = 1 - powf(beta2, Float(updateCount))
    for i in 0..<parameters.values.count {
      let g = gradients.values.pointer[i] * gradientScale
      firstMoments.values.pointer[i] = beta1 * firstMoments.values.pointer[i] + (1 - beta1) * g
      secondMoments.values.pointer[i] = beta2 * secondMoments.values.pointer[i] + (1 - beta2) * g * g
      let w = parameters.values.pointer[i]
      parameters.values.pointer[i] = w - learningRate * (firstMoments.values.pointer[i] / c1 / ((secondMoments.values.pointer[i] / c2).squareRoot() + epsilon) + weightDecay * w)
    }
  }
}
import Glibc
