import Layers
import Tensor
import Testing
import Training

/// AdamW's moments in bf16: what is lost to rounding is lost without bias.
@Suite struct MomentTests {
  private let count = 70_000

  private func set(_ value: (Int) -> Float) -> ParameterSet {
    let set = ParameterSet(parameters: [ParameterShape(name: "w", shape: [count])])
    for i in 0..<count { set.scalars(0)[i] = value(i) }
    return set
  }

  private func update(_ optimizer: AdamW, _ parameters: ParameterSet, gradients: ParameterSet, beta2: Float = 0.99) {
    optimizer.step(
      parameters: parameters, gradients: gradients, gradientScale: 1, learningRate: 1e-3, beta1: 0.9, beta2: beta2,
      epsilon: 1e-8, weightDecay: 0)
  }

  private func floats(_ moments: MomentSet) -> [Float] {
    let bytes = moments.bytes(0)
    return moments.precision == .float32
      ? Array(bytes.bindMemory(to: Float.self)) : bytes.bindMemory(to: UInt16.self).map(widened)
  }

  @Test("A moment in bf16 is one of the two neighbours of the one in fp32")
  func aMomentIsOneOfTheTwoNeighboursOfWhatFloat32Keeps() {
    var inputs = KernelInputs(31)
    let values = inputs.floats(count)
    let gradients = set { values[$0] }
    func moments(_ precision: Precision, threads: Int) -> (first: [Float], second: [Float], weights: [Float]) {
      let parameters = set { _ in 1 }
      let optimizer = AdamW(parameters: parameters, pool: ThreadPool(threads: threads), moments: precision)
      update(optimizer, parameters, gradients: gradients)
      return (floats(optimizer.firstMoments), floats(optimizer.secondMoments), Array(parameters.scalars(0)))
    }
    let exact = moments(.float32, threads: 1)
    let half = moments(.bfloat16, threads: 1)
    func isNeighbour(_ a: Float, of b: Float) -> Bool {
      let below = b.bitPattern & 0xFFFF_0000
      return a.bitPattern == below || a.bitPattern == below + 0x1_0000
    }
    #expect(zip(half.first, exact.first).allSatisfy { isNeighbour($0, of: $1) })
    #expect(zip(half.second, exact.second).allSatisfy { isNeighbour($0, of: $1) })
    // The update itself is made of the moments before they are rounded.
    #expect(half.weights == exact.weights)
    let three = moments(.bfloat16, threads: 3)
    #expect(three.first == half.first)
    #expect(three.second == half.second)
    #expect(three.weights == half.weights)
  }

  /// To nearest, a decay of 0.1 % of a bf16 number gives that number again, for ever.
  @Test("Moments decay as in fp32, though each decay is below their precision")
  func momentsDecayAsInFloat32ThoughEachDecayIsBelowTheirPrecision() {
    let parameters = set { _ in 0 }
    let optimizer = AdamW(parameters: parameters, pool: ThreadPool(threads: 2), moments: .bfloat16)
    update(optimizer, parameters, gradients: set { _ in 1 }, beta2: 0.999)
    func mean() -> Double { floats(optimizer.secondMoments).reduce(0.0) { $0 + Double($1) } / Double(count) }
    let start = mean()
    #expect(abs(start - 0.001) < 1e-6)
    let nothing = set { _ in 0 }
    for _ in 0..<400 { update(optimizer, parameters, gradients: nothing, beta2: 0.999) }
    #expect(abs(mean() / start - 0.6702) < 0.002)
  }
}
