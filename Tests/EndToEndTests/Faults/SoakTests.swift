import Foundation
import Glibc
import Runs
import Support
import Testing
import Wire

/// `make soak MINUTES=20`: a farm of ten workers, one of which is killed each minute and started again, for as long as
/// one likes. At the end every sample was trained once, and at least nine tenths of the wall time were effective
/// training time.
///
/// Effective training time, as the literature has it, is the share of the wall time that went into useful training.
/// Here a step is worth what it takes when nothing fails, the mean over the steps of the same run that no failure
/// touched; all else (waiting for a dead worker's leases, doing them again, starting and ending) is lost:
///
///     effective training time = steps x mean time of an untouched step / wall time
///
/// A step is touched when a worker is dead, or back without the newest weights, at any moment of it. This is stricter
/// than counting the time of all steps that were kept: what a failure adds to a step counts as lost.
/// Source: Llama 3, arXiv 2407.21783, section 3.3.4; ByteRobust, arXiv 2509.16293 (effective training time ratio).
@Suite(.serialized) struct SoakTests {
  private static let minutes = ProcessInfo.processInfo.environment["FOVEA_SOAK_MINUTES"].flatMap(Double.init)
  private static let compares = ProcessInfo.processInfo.environment["FOVEA_SOAK_COMPARE"] != nil
  private static let workers = 10
  private static let promptsPerStep = 20
  private static let downSeconds = 5.0
  private static let settings =
    ScatteredFarm.settings + [
      "run.steps=1000000", "rollout.prompts_per_step=\(promptsPerStep)", "checkpoint.every=50",
      "farm.heartbeat_milliseconds=500",
    ]

  /// A span of the coordinator's clock in which a worker was missing.
  private typealias Failure = ClosedRange<Double>

  @Test(
    "At least nine tenths of the time are effective", .enabled(if: minutes != nil, "make soak MINUTES=20 runs it"),
    .timeLimit(.minutes(180)))
  func atLeastNineTenthsOfTheTimeAreEffective() async throws {
    let minutes = try #require(Self.minutes)
    let network = TestNetwork.isAvailable ? try ScatteredFarm.network(workers: Self.workers) : nil
    let farm = try ScatteredFarm(workers: Self.workers, network: network, settings: Self.settings)
    var random = RandomStream(seed: 1, purpose: .test)
    let began = ContinuousClock.now
    try await farm.start()
    var failures: [Failure] = []
    for minute in 0..<Int(minutes) {
      let moment = 60 * Double(minute) + Double(Float.random(in: 5...45, using: &random))
      try await Task.sleep(until: began + .seconds(moment))
      failures.append(try await fail(farm.workers.randomElement(using: &random)!, of: farm))
    }
    try await Task.sleep(until: began + .seconds(60 * minutes))
    farm.send(SIGTERM, to: ScatteredFarm.coordinator)
    for name in farm.names {
      let result = try await #require(farm.processes[name]).wait(seconds: 60)
      #expect(result.exitCode == 0, "\(name): \(result)\n\(farm.diagnosis)")
    }
    let wall = (ContinuousClock.now - began) / .seconds(1)
    let steps = try farm.farm.steps
    try farm.farm.expectEachSampleOnce(steps: steps.count, promptsPerStep: Self.promptsPerStep)
    let share = try report(steps, failures, wall: wall)
    #expect(share >= 0.9)
    if Self.compares { try await compare(farm.farm, steps: steps.count) }
  }

  /// Kills a worker, starts it again later, and waits until it holds the newest weights.
  private func fail(_ name: String, of farm: ScatteredFarm) async throws -> Failure {
    let directory = RunDirectory.at(farm.farm.runPath)
    let before = try #require(directory.status, "\(farm.diagnosis)").secondsElapsed
    await farm.kill(name)
    try await Task.sleep(for: .seconds(Self.downSeconds))
    try await farm.start(name)
    var back: Double?
    let isBack = await holds(within: 30) {
      guard let status = directory.status, status.secondsElapsed > before + Self.downSeconds else { return false }
      let isThere = status.peers.contains { $0.name == name && $0.policyVersion == status.version }
      back = isThere ? status.secondsElapsed : nil
      return isThere
    }
    #expect(isBack, "\(name) is not back\n\(farm.diagnosis)")
    // The status is written four times a second.
    return before...(back ?? .infinity)
  }

  private func report(_ steps: [MetricsRow], _ failures: [Failure], wall: Double) throws -> Double {
    let spans = try zip(steps, steps.dropFirst()).map { before, step -> ClosedRange<Double> in
      try #require(before.values["seconds_elapsed"])...(try #require(step.values["seconds_elapsed"]))
    }
    func mean(_ spans: [ClosedRange<Double>]) -> Double {
      spans.reduce(0) { $0 + $1.upperBound - $1.lowerBound } / Double(max(1, spans.count))
    }
    let untouched = spans.filter { span in !failures.contains { $0.overlaps(span) } }
    let touched = spans.filter { span in failures.contains { $0.overlaps(span) } }
    let share = Double(steps.count) * mean(untouched) / wall
    let last = try #require(steps.last?.values)
    print(
      """
      soak: \(Int(wall)) s, \(Self.workers) workers, \(failures.count) killed; \(steps.count) steps, \
      \(Int(last["samples_total"] ?? 0)) samples, each trained once; \
      \(Int(last["requeued"] ?? 0)) leases given out again
      soak: a step takes \(text(mean(untouched))) s when nothing fails (\(untouched.count) steps), \
      \(text(mean(touched))) s when something does (\(touched.count))
      soak: effective training time \(text(share)) of the wall time
      """)
    return share
  }

  private func text(_ number: Double) -> String { String(format: "%.3f", number) }

  /// Two workers on the loopback, to which nothing happens, come to the same weights.
  private func compare(_ soaked: Farm, steps: Int) async throws {
    let farm = try Farm()
    let result = try await farm.train(Self.settings + ["run.steps=\(steps)", "farm.workers=2"]).wait(seconds: 10_000)
    #expect(result.exitCode == 0, "\(result)")
    let equal = try farm.checksum(step: steps) == soaked.checksum(step: steps)
    #expect(equal, "other weights than those of a run to which nothing happens")
    print("soak: the weights are \(equal ? "" : "NOT ")those of a run to which nothing happens")
  }
}
