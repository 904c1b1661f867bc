import Glibc

/// The learning rate of each step: linear warm-up, then constant, linear or cosine decay to a floor.
public struct Schedule: Equatable, Sendable {
  public enum Decay: String, Sendable, CaseIterable {
    case constant
    case linear
    case cosine
  }

  /// The rate after the warm-up.
  public var peak: Double
  /// Step s of the warm-up has the rate peak (s + 1) / warmupSteps.
  public var warmupSteps: Int
  public var decay: Decay
  /// The share of the peak that the decay reaches at `totalSteps`.
  public var floor: Double
  public var totalSteps: Int

  public init(peak: Double, warmupSteps: Int, decay: Decay, floor: Double, totalSteps: Int) {
    self.peak = peak
    self.warmupSteps = warmupSteps
    self.decay = decay
    self.floor = floor
    self.totalSteps = totalSteps
  }

  /// The rate of step 0, 1, ...; steps beyond `totalSteps` keep the floor.
  public func learningRate(at step: Int) -> Double {
    if step < warmupSteps { return peak * Double(step + 1) / Double(warmupSteps) }
    let progress = min(1, Double(step - warmupSteps) / Double(max(1, totalSteps - warmupSteps)))
    let remaining =
      switch decay {
      case .constant: 1.0
      case .linear: 1 - progress
      case .cosine: (1 + cos(.pi * progress)) / 2
      }
    return peak * (floor + (1 - floor) * remaining)
  }
}

extension RunSettings {
  /// The learning rate of each step of the run.
  public var schedule: Schedule {
    Schedule(
      peak: optimizer.learningRate, warmupSteps: optimizer.warmupSteps, decay: optimizer.decay,
      floor: optimizer.learningRateFloor, totalSteps: run.steps)
  }

  /// The learning rate of each step of a stage of supervised training.
  public func schedule(of stage: Stage) -> Schedule {
    Schedule(
      peak: stage.learningRate, warmupSteps: stage.warmupSteps, decay: stage.decay,
      floor: optimizer.learningRateFloor, totalSteps: stage.steps)
  }
}
