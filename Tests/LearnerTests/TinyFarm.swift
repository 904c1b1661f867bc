import Architecture
import Coordinator
import Foundation
import FoveaTesting
import Learner
import ModelFiles
import Prompts
import Reinforcement
import RolloutWorker
import Settings
import Support
import Synchronization
import Wire

/// A whole farm in one process: real sockets, real engine and learner, and a random model of two small layers.
struct TinyFarm: Sendable {
  let folder: TemporaryFolder
  var settings: RunSettings

  init(folder: TemporaryFolder) throws {
    self.folder = folder
    settings = RunSettings()
    settings.model.path = "\(folder.path)/model"
    settings.run.steps = 4
    settings.rollout.promptsPerStep = 3
    settings.rollout.groupSize = 4
    settings.rollout.sampling.maxNewTokens = 8
    settings.rollout.slots = 8
    settings.rollout.stopStrings = []
    // A random model earns no reward: decay moves the weights, and then the KL term has a gradient.
    settings.algorithm.loss.klCoefficient = 0.1
    settings.optimizer.learningRate = 0.01
    settings.optimizer.weightDecay = 1
    settings.optimizer.warmupSteps = 0
    settings.farm.heartbeatMilliseconds = 100
    settings.evaluation.every = 2
    settings.evaluation.prompts = 3
    settings.checkpoint.every = 2
    try Self.writeModel(to: settings.model.path)
  }

  /// A Llama with grouped-query attention and the tokenizer of the model files' fixtures.
  private static func writeModel(to folder: String) throws {
    let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures")
    let config = ModelConfig(
      vocabularySize: 96, hiddenSize: 32, feedForwardSize: 48, layerCount: 2, headCount: 4, keyValueHeadCount: 2,
      maxPositions: 128)
    let template = """
      {% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}\
      {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
      """
    let files: [String: [UInt8]] = [
      "config.json": JSON.object([
        "architectures": .array([.string("LlamaForCausalLM")]), "model_type": .string("llama"),
        "vocab_size": .integer(96), "hidden_size": .integer(32), "intermediate_size": .integer(48),
        "num_hidden_layers": .integer(2), "num_attention_heads": .integer(4), "num_key_value_heads": .integer(2),
        "max_position_embeddings": .integer(128), "rms_norm_eps": .number(1e-5), "rope_theta": .number(10_000),
        "tie_word_embeddings": .bool(true), "hidden_act": .string("silu"), "eos_token_id": .integer(2),
      ]).serialized(),
      "tokenizer.json": try MappedFile.contents(
        of: fixtures.appendingPathComponent("modelfiles/tokenizer.json").path, byteCountMax: 1 << 20),
      "tokenizer_config.json": JSON.object(["chat_template": .string(template)]).serialized(),
    ]
    try ModelSaver.save(
      ModelDescription(files: files, place: "tiny"), parameters: SmallModel.parameters(config: config, seed: 4),
      to: folder, encoding: .float32)
  }

  /// What a farm left.
  struct Outcome {
    var coordinator: CoordinatorOutcome
    var rows: [MetricsRow]
    var learner: String
    var workers: [String]
  }

  /// Runs a farm to its end in a run directory.
  /// - Parameter drainAfter: asks the coordinator to stop once it has this many rows of steps.
  func run(in directory: String, workers: Int, drainAfter: Int? = nil) async throws -> Outcome {
    let control = try Reactor(sockets: [.router(.control, listen: "tcp://127.0.0.1:*")], tickMilliseconds: 10)
    defer { control.close() }
    let endpoint = control.boundEndpoint(of: .control)
    let rows = Mutex<[MetricsRow]>([])
    let drain = Mutex<CoordinatorRunner?>(nil)
    let coordinator = try CoordinatorRunner(
      settings: settings, runID: "tiny", dataset: SimulatedDataset(heldOutCount: 3),
      journal: Journal(path: ":memory:", runID: "tiny"), reactor: control,
      observer: CoordinatorObserver(metrics: { row in
        let steps = rows.withLock { rows in
          rows.append(row)
          return rows.count { $0.kind == .step }
        }
        if let drainAfter, steps >= drainAfter { drain.withLock { $0?.drain() } }
      }))
    drain.withLock { $0 = coordinator }

    let learnerReactor = try Reactor(
      sockets: [.dealer(.control, connect: endpoint), .router(.weights, listen: "tcp://127.0.0.1:*")],
      tickMilliseconds: 10)
    let learner = LearnerRunner(
      settings: settings, runID: "tiny", runDirectory: directory, threads: 1, reactor: learnerReactor)
    async let learnerEnd = closing(learnerReactor) { try await learner.run() }
    let slots = settings.rollout.slots
    let workerEnds = Task {
      try await withThrowingTaskGroup(of: String.self) { group in
        for index in 0..<workers {
          let reactor = try Reactor(
            sockets: [.dealer(.control, connect: endpoint), .dealer(.weights)], tickMilliseconds: 10)
          let worker = RolloutRunner(name: "w\(index)", threads: 1, slots: slots, reactor: reactor)
          group.addTask { try await closing(reactor) { try await worker.run() } }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
    }
    let outcome = try await coordinator.run()
    return Outcome(
      coordinator: outcome, rows: rows.withLock { $0 }, learner: try await learnerEnd,
      workers: try await workerEnds.value)
  }
}

private func closing<T>(_ reactor: Reactor, _ body: () async throws -> T) async throws -> T {
  defer { reactor.close() }
  return try await body()
}
