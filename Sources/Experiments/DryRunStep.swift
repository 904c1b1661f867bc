import Coordinator
import Engine
import Imaging
import Layers
import Learner
import Model
import ModelFiles
import Processors
import Prompts
import Reinforcement
import RolloutWorker
import Settings
import Tasks
import Tensor
import Tokenizers
import Training
import Wire

/// A dry run of one step of reinforcement learning, up to its advantages, in this process; nothing is trained.
///
/// Every part is the farm's own: `PromptSource` chooses the prompts, `GroupSampler` samples and scores,
/// `GroupAssembler` replaces groups without variance, `TrainingModel` measures, `StepPlan` plans. So this is, to the
/// bit, the next step of a synchronous run in the same state, as long as no prompt is quarantined.
public struct DryRunStep {
  public let batch: TrainBatch
  package let plan: StepPlan
  /// tau before the step, nats; nil at the beginning of a run.
  public let thresholdBefore: Float?
  /// The prompt of each group, by its id.
  public let prompts: [UInt64: Prompt]
  private let tokenizer: Tokenizer

  /// - Parameters:
  ///   - path: the policy: a folder or a GGUF file.
  ///   - start: the state of the run before the step.
  ///   - slots: samples decoded at once, at least 1.
  ///   - progress: gets what is being done, for people.
  /// - Throws: `InputError` for a model or data that cannot be read, and for a prompt that cannot be asked.
  public init(
    settings: RunSettings, model path: String, start: TrainerState, slots: Int, pool: ThreadPool,
    progress: (String) -> Void
  ) throws {
    let dataset = try makeDataset(settings.task, seed: settings.run.seed)
    let model = try ModelLoader.load(path: path)
    let config = model.description.config
    let policy = TrainingModel(
      config: config, parameters: model.parameters, precision: settings.model.precision, pool: pool, trainable: false)
    try config.check(rollout: settings.rollout.precision, at: path)
    var decoder = policy.decoder
    if settings.rollout.precision != .exact {
      decoder = Decoder(
        config: config, precision: settings.model.precision, rollout: settings.rollout.precision, pool: pool)
      decoder.load(model.parameters)
    }
    tokenizer = model.description.tokenizer
    var sampler = GroupSampler(try NativeRolloutEngine(decoder, model.description, slots: slots, place: path))
    sampler.use(start.policyVersion)
    var sampling = StepSampling(settings: settings, dataset: dataset, start: start)
    batch = try sampling.run(&sampler, progress: progress)
    prompts = sampling.prompts

    let processor = try PromptProcessor(model.description, place: path)
    let groups = try batch.trainingGroups(config: config, version: start.policyVersion) {
      try processor.pixels(of: $0, place: $1)
    }
    let temperature = settings.rollout.sampling.scoringTemperature
    var scores: [[SequenceScores]] = []
    for (index, group) in groups.enumerated() {
      progress("scoring group \(index + 1)/\(groups.count)")
      scores += policy.score([group], temperature: temperature)
    }
    thresholdBefore = start.threshold
    var threshold = UncertaintyThreshold(gamma: settings.algorithm.shaping.gamma, value: start.threshold)
    plan = StepPlan(batch.groups, scores: scores, threshold: &threshold, algorithm: settings.algorithm)
  }

  /// The index of the group that shows most: the first with all four quadrants of certainty and reward, else the first
  /// with the most of them.
  public var mostInstructiveGroup: Int {
    let counts = batch.groups.indices.map { group in
      Set(batch.groups[group].rollouts.indices.compactMap { plan.advantages.quadrant(group, $0) }).count
    }
    return counts.firstIndex(of: counts.max() ?? 0) ?? 0
  }

  /// The text that each token of a sample adds, special tokens included; "" where it ends inside a character.
  public func tokenTexts(of sample: Rollout) -> [String] {
    var decoder = TokenStreamDecoder(tokenizer)
    var texts = sample.tokens.map { decoder.push($0) }
    texts[texts.count - 1] += decoder.finish()
    return texts
  }
}

/// The sampling of a step, as a coordinator with one worker does it.
private struct StepSampling {
  private let settings: RunSettings
  private let start: TrainerState
  private let source: PromptSource
  private var assembler: GroupAssembler
  private var open: [LeaseID: LeaseWork] = [:]
  private(set) var prompts: [UInt64: Prompt] = [:]
  private var waiting: [DrawnPrompt]

  init(settings: RunSettings, dataset: any PromptDataset, start: TrainerState) {
    self.settings = settings
    self.start = start
    source = PromptSource(dataset: dataset)
    let (drawn, next) = source.prompts(from: start.cursor, count: settings.rollout.promptsPerStep)
    waiting = drawn
    assembler = GroupAssembler(step: start.nextStep, drawn: drawn, cursorAfter: next, settings: settings)
  }

  mutating func run(_ sampler: inout GroupSampler, progress: (String) -> Void) throws -> TrainBatch {
    while !assembler.isComplete {
      for one in waiting { try begin(one, &sampler) }
      waiting = []
      for case .groupFinished(let id, let group) in sampler.step(scoringWith: .builtIn) {
        guard let work = open.removeValue(forKey: id) else { preconditionFailure("\(id) was not open") }
        if assembler.admit(group, for: work, staleness: 0, now: 0) { replace() }
        progress("sampled group \(assembler.doneCount)/\(assembler.wanted)")
      }
    }
    return assembler.batch()
  }

  private mutating func replace() {
    let one = source.replacement(
      step: start.nextStep, position: &assembler.replacementPosition, taken: assembler.taken)
    assembler.add(one)
    waiting.append(one)
  }

  private mutating func begin(_ one: DrawnPrompt, _ sampler: inout GroupSampler) throws {
    let work = LeaseWork.train(step: start.nextStep, drawn: one, groupSize: settings.rollout.groupSize)
    open[work.id] = work
    prompts[one.prompt.id] = one.prompt
    try sampler.start(Lease(work, attempt: 1, version: start.policyVersion, settings: settings))
  }
}
