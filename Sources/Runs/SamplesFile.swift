import Glibc
import Prompts
import Support
import Synchronization
import Wire

/// samples.jsonl: a few completions of every step, so that a person can read how the policy answers.
///
/// Bounded: `perStep` completions a step, and a file that has reached `byteCountMax` gets no more. A step that comes
/// again in one process is not written again.
public final class SamplesFile: Sendable {
  private static let byteCountMax = 64 << 20
  private let path: String
  private let perStep: Int
  private struct State {
    var descriptor: Int32
    var byteCount: Int
    var newestStep: UInt32 = 0
  }
  private let state: Mutex<State>

  public init(path: String, perStep: Int = 4) throws {
    self.path = path
    self.perStep = perStep
    let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Files.failure("open samples", at: path) }
    state = Mutex(State(descriptor: descriptor, byteCount: Int(lseek(descriptor, 0, SEEK_END))))
  }

  deinit { close(state.withLock { $0.descriptor }) }

  /// Appends the best and the worst completion of the step's first groups.
  ///
  /// - Parameter step: number of steps after this batch is trained, as in metrics.jsonl.
  public func append(_ groups: [RolloutGroup], step: UInt32) throws {
    var lines: [UInt8] = []
    for group in groups.prefix((perStep + 1) / 2) {
      let ranked = group.rollouts.indices.sorted { group.rollouts[$0].reward > group.rollouts[$1].reward }
      guard let best = ranked.first, let worst = ranked.last else { continue }
      for index in best == worst ? [best] : [best, worst] {
        lines += Self.line(group, group.rollouts[index], sample: index, step: step)
      }
    }
    try state.withLock { state in
      guard step > state.newestStep, state.byteCount + lines.count <= Self.byteCountMax else { return }
      state.newestStep = step
      guard Files.writeAll(lines, to: state.descriptor) else { throw Files.failure("write samples", at: path) }
      state.byteCount += lines.count
    }
  }

  private static func line(_ group: RolloutGroup, _ rollout: Rollout, sample: Int, step: UInt32) -> [UInt8] {
    func number(_ value: Float) -> JSON { value.isFinite ? .number(Double(value)) : .null }
    let entropy = rollout.entropies.reduce(0, +) / Float(max(1, rollout.entropies.count))
    var line: [String: JSON] = [
      "step": .integer(Int64(step)), "prompt": .integer(Int64(clamping: group.prompt)),
      "sample": .integer(Int64(sample)), "version": .integer(Int64(clamping: group.policyVersion.value)),
      "reward": number(rollout.reward),
      "scores": .object(Dictionary(rollout.scores.map { ($0.name, $0.value.map(number) ?? .null) }) { $1 }),
      "entropy": number(entropy), "tokens": .integer(Int64(rollout.tokens.count)),
      "finish": .string(rollout.finish == .stop ? "stop" : "length"), "text": .string(rollout.text),
    ]
    let failures = rollout.scores.filter { $0.value == nil }
    if !failures.isEmpty {
      line["score_failures"] = .object(Dictionary(failures.map { ($0.name, .string($0.cause)) }) { $1 })
    }
    return JSON.object(line).serialized() + [UInt8(ascii: "\n")]
  }
}
