import Settings
import Testing

@Suite("The learning-rate schedule")
struct ScheduleTests {
  @Test("The warm-up rises linearly to the peak")
  func warmUp() {
    let schedule = Schedule(peak: 1, warmupSteps: 4, decay: .constant, floor: 0.1, totalSteps: 10)
    #expect((0..<6).map { schedule.learningRate(at: $0) } == [0.25, 0.5, 0.75, 1, 1, 1])
  }

  @Test(
    "A decay ends at the floor and stays there",
    arguments: [(Schedule.Decay.linear, 0.55), (.cosine, 0.55), (.constant, 1.0)])
  func decay(_ decay: Schedule.Decay, _ middle: Double) {
    let schedule = Schedule(peak: 1, warmupSteps: 2, decay: decay, floor: 0.1, totalSteps: 12)
    let end = decay == .constant ? 1 : 0.1
    #expect(abs(schedule.learningRate(at: 2) - 1) < 1e-12)
    #expect(abs(schedule.learningRate(at: 7) - middle) < 1e-12)
    #expect(abs(schedule.learningRate(at: 12) - end) < 1e-12)
    #expect(abs(schedule.learningRate(at: 1000) - end) < 1e-12)
  }

  @Test("A warm-up that is longer than the run gives finite rates")
  func longWarmUp() {
    let schedule = Schedule(peak: 1, warmupSteps: 10, decay: .linear, floor: 0, totalSteps: 5)
    #expect((0..<30).allSatisfy { schedule.learningRate(at: $0).isFinite })
  }

  @Test("The run's schedule and a stage's follow their settings, and share the floor")
  func settings() throws {
    let yaml = """
      run: {steps: 12}
      optimizer: {learning_rate: 1, warmup_steps: 2, decay: linear}
      sft: {steps: 6, learning_rate: 0.5, warmup_steps: 0, decay: constant}
      align: {steps: 6, learning_rate: 0.5, warmup_steps: 0, decay: linear}
      """
    let settings = try SettingsFile.load(yaml: Array(yaml.utf8), file: "run.yaml")
    #expect(settings.schedule.learningRate(at: 0) == 0.5)
    #expect(abs(settings.schedule.learningRate(at: 12) - 0.1) < 1e-12)
    #expect(settings.schedule(of: settings.sft).learningRate(at: 6) == 0.5)
    #expect(abs(settings.schedule(of: settings.align).learningRate(at: 6) - 0.05) < 1e-12)
  }
}
