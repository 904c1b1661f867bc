import Architecture
import Prompts
import Reinforcement
import Tasks
import Tensor

/// All settings of a run, with their defaults. `SettingsFile` reads them from YAML and from dotted overrides.
///
/// The keys of a file are the same words in snake_case: `rollout.prompts_per_step`.
public struct RunSettings: Equatable, Sendable {
  public var run = Run()
  public var model = Model()
  public var task = TaskSettings()
  public var align = Stage(train: [.projector])
  public var sft = Stage()
  public var rollout = RolloutSettings()
  public var algorithm = Algorithm()
  public var optimizer = OptimizerSettings()
  public var farm = Farm()
  public var checkpoint = Checkpoint()
  public var evaluation = Evaluation()

  public init() {}

  public struct Run: Equatable, Sendable {
    public var name = "fovea"
    public var seed: UInt64 = 1
    /// Parent of run directories.
    public var directory = "runs"
    public var steps = 100
    public init() {}
  }

  public struct Model: Equatable, Sendable {
    /// A Hugging Face folder or a GGUF file.
    public var path = "models/SmolLM2-135M-Instruct.Q4_1.gguf"
    public var precision = Precision.bfloat16
    /// The parts that training changes; the rest is frozen.
    public var train = ModelPart.allCases
    /// Trained instead of the weights, in those parts.
    public var lora = AdapterSettings()
    /// The model that `fovea create` makes at `path`.
    public var create = NewModelSettings()
    public init() {}
  }

  /// A stage of supervised training: `fovea align` or `fovea sft`. All other settings of the optimizer are those of
  /// `optimizer`.
  public struct Stage: Equatable, Sendable {
    /// The parts of the model that the stage changes; the rest is frozen.
    public var train: [ModelPart]
    public var steps = 100
    /// Examples of a step.
    public var examplesPerStep = 16
    public var learningRate = 2e-5
    public var warmupSteps = 5
    /// Over steps, down to optimizer.learningRateFloor * learningRate.
    public var decay = Schedule.Decay.cosine
    public init(train: [ModelPart] = ModelPart.allCases) { self.train = train }
  }

  public struct RolloutSettings: Equatable, Sendable {
    public var promptsPerStep = 8
    public var groupSize = 8
    public var sampling = SamplingSettings(maxNewTokens: 48)
    public var stopStrings = ["</answer>"]
    /// 0 is synchronous.
    public var maxStaleness = 0
    /// Samples that a worker decodes at once.
    public var slots = 32
    /// The arithmetic that samples tokens, in the run's evaluations too.
    public var precision = RolloutPrecision.exact
    public init() {}
  }

  public struct Algorithm: Equatable, Sendable {
    /// grpo | dr_grpo | dapo | gspo | rloo: where the other fields of this section start from.
    public var preset = "grpo"
    public var advantage = AdvantageSettings()
    public var shaping = ShapingSettings()
    public var loss = LossSettings()
    /// DAPO: replaces groups whose rewards are all equal with groups of new prompts.
    public var dynamicSampling = false
    /// Optimizer updates per step; the batch is split into as many parts by prompt.
    public var updatesPerStep = 1
    public init() {}
  }

  public struct OptimizerSettings: Equatable, Sendable {
    public var learningRate = 1e-5
    public var warmupSteps = 5
    /// Over run.steps, down to learningRateFloor * learningRate.
    public var decay = Schedule.Decay.constant
    public var learningRateFloor = 0.1
    public var beta1 = 0.9
    public var beta2 = 0.99
    public var epsilon = 1e-8
    public var weightDecay = 0.0
    /// Global norm; 0 turns clipping off.
    public var gradientClip = 1.0
    /// Tokens (prompt and completion) of one forward and backward pass of the learner.
    public var microBatchTokens = 4096
    /// The precision of AdamW's moments.
    public var moments = Precision.float32
    /// Computes activations again in the backward pass instead of keeping them.
    public var gradientCheckpointing = false
    public init() {}
  }

  public struct Farm: Equatable, Sendable {
    /// Workers that `fovea train` starts on this machine.
    public var workers = 2
    /// The endpoint at which the coordinator listens.
    public var listen = "tcp://127.0.0.1:*"
    /// The endpoint at which the learner serves weights.
    public var weightsListen = "tcp://127.0.0.1:*"
    /// Folder of the farm's keys; empty for a farm without keys.
    public var keys = ""
    /// Listens beyond this machine without keys.
    public var insecure = false
    /// Kernel threads of each process; 0 shares the machine's cores evenly among the workers, and gives the learner
    /// all.
    public var workerThreads = 0
    public var learnerThreads = 0
    public var heartbeatMilliseconds = 500
    /// A worker that misses this many heartbeats in a row is lost.
    public var heartbeatsMissedMax = 3
    public var leaseTimeoutSeconds = 300.0
    public var attemptsMax = 3
    /// The longest wait of the run, or of a process, for a peer; then it ends with the reason.
    public var timeoutSeconds = 21_600.0
    /// What the farm does about a group that takes much longer than others.
    public var stragglers = StragglerPolicy.wait
    /// A group is a straggler after this multiple of the median time.
    public var stragglerAfter = 3.0
    /// The fewest samples of a partial group.
    public var partialGroupMin = 2
    public init() {}
  }

  /// What the farm does about stragglers.
  public enum StragglerPolicy: String, CaseIterable, Sendable {
    case wait
    /// An idle worker gets a copy; the first result counts.
    case hedge
    /// The group is trained with the samples that are finished.
    case partial
  }

  public struct Checkpoint: Equatable, Sendable {
    /// Steps between checkpoints; the last step always makes one. 0 makes only that one.
    public var every = 20
    /// The number of newest checkpoints kept, next to the best.
    public var keep = 2
    public init() {}
  }

  public struct Evaluation: Equatable, Sendable {
    /// Steps between evaluations; the start and the end always have one. 0 makes only those.
    public var every = 20
    public var prompts = 128
    public init() {}
  }
}
