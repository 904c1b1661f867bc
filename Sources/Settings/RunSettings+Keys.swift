import Architecture
import Prompts
import Reinforcement
import SettingKeys
import Tasks

extension RunSettings {
  /// Every key, in the order of the documentation. The keys of a section stand together.
  public static let keys: [SettingKey<RunSettings>] =
    runKeys + modelKeys + TaskDefinition.keys.map { $0.within("task", \.task) }
    + Stage.keys("fovea align").map { $0.within("align", \.align) }
    + Stage.keys("fovea sft").map { $0.within("sft", \.sft) }
    + rolloutKeys + algorithmKeys + optimizerKeys + farmKeys + checkpointKeys + evaluationKeys

  private static let runKeys: [SettingKey<RunSettings>] = [
    .text(
      "run.name", \.run.name, "text for a folder's name: 1 to 100 characters, no slash, no leading dot",
      "Names the run directory, together with the seed.",
      isValid: { (1...100).contains($0.count) && !$0.hasPrefix(".") && !$0.contains("/") && !$0.utf8.contains(0) }),
    .seed(
      "run.seed", \.run.seed,
      "Every random number of the run follows from it: the same settings and seed give the same weights."),
    .text("run.directory", \.run.directory, "a path", "The folder that holds run directories.", isValid: isPath),
    .integer(
      "run.steps", \.run.steps, 1...10_000_000,
      "Training steps. 100 show the default task being learned within minutes."),
  ]

  private static let modelKeys: [SettingKey<RunSettings>] = [
    .text(
      "model.path", \.model.path, "a path",
      "A Hugging Face folder or a GGUF file. The default is the smallest instruction-tuned model that the set-up "
        + "fetches.",
      isValid: isPath),
    .choice(
      "model.precision", \.model.precision,
      "Arithmetic of the products. bfloat16 is fast, and gives the same bits on every machine; float32 is for "
        + "comparisons with other implementations."),
    .choices(
      "model.train", \.model.train,
      "The parts that training changes; the others stay as they are and take neither moments nor bandwidth. A model "
        + "without a vision encoder has only the language part."),
    .integer(
      "model.lora.rank", \.model.lora.rank, 0...4096,
      "Trains low-rank adapters of this rank on a frozen model, and broadcasts nothing else; 0 trains the weights "
        + "themselves. 8 to 16 suit a narrow task."),
    .number(
      "model.lora.alpha", \.model.lora.alpha, .above(0, upTo: 65_536),
      "alpha / rank scales the adapters' contribution, so that one learning rate fits several ranks."
    ),
    .texts(
      "model.lora.targets", \.model.lora.targets, countMax: 1024,
      "Layers that get an adapter, in the trained parts, named as PEFT names them: q_proj for all of that name, "
        + "whole names, or all-linear for every linear layer but the head."),
    .integer(
      "model.create.vocabulary_size", \.model.create.vocabularySize, 264...262_144,
      "`fovea create`: the largest vocabulary, which includes 256 bytes and up to 8 special tokens. 1024 suits a "
        + "narrow task."),
    .integer(
      "model.create.hidden_size", \.model.create.hiddenSize, 2...8192,
      "`fovea create`: width of the decoder. The defaults make 2.7 million parameters, which two cores train in "
        + "minutes."
    ),
    .integer(
      "model.create.feed_forward_size", \.model.create.feedForwardSize, 2...32_768,
      "`fovea create`: width inside a feed-forward part; 8/3 of the decoder's is usual for a gated one."),
    .integer("model.create.layer_count", \.model.create.layerCount, 1...128, "`fovea create`: layers of the decoder."),
    .integer(
      "model.create.head_count", \.model.create.headCount, 1...128,
      "`fovea create`: query heads; a divisor of the width."),
    .integer(
      "model.create.key_value_head_count", \.model.create.keyValueHeadCount, 1...128,
      "`fovea create`: key-value heads; a divisor of the query heads. Fewer make the cache smaller."),
    .integer(
      "model.create.max_positions", \.model.create.maxPositions, 16...1_048_576,
      "`fovea create`: the longest sequence, in tokens. It costs nothing until it is used."),
    .integer(
      "model.create.image_size", \.model.create.imageSize, 0...4096,
      "`fovea create`: pixels along each side of an image, which is resized to it; 0 makes a model of text alone."),
    .integer(
      "model.create.patch_size", \.model.create.patchSize, 1...256,
      "`fovea create`: pixels along each side of a patch, a divisor of the image's. 64 / 8 squared are 64 tokens an "
        + "image."
    ),
    .integer(
      "model.create.vision_hidden_size", \.model.create.visionHiddenSize, 2...8192,
      "`fovea create`: width of the vision encoder."),
    .integer(
      "model.create.vision_feed_forward_size", \.model.create.visionFeedForwardSize, 2...32_768,
      "`fovea create`: width inside its feed-forward parts; 4 times its own is usual."),
    .integer(
      "model.create.vision_layer_count", \.model.create.visionLayerCount, 1...128,
      "`fovea create`: layers of the encoder."),
    .integer(
      "model.create.vision_head_count", \.model.create.visionHeadCount, 1...128,
      "`fovea create`: heads of the encoder; a divisor of its width."),
    .texts(
      "model.create.text_files", \.model.create.textFiles, countMax: 64,
      "`fovea create`: texts that the tokenizer is learned from. Without any, the task's own prompts and answers."),
  ]

  private static let rolloutKeys: [SettingKey<RunSettings>] = [
    .integer(
      "rollout.prompts_per_step", \.rollout.promptsPerStep, 1...65_536,
      "Groups of a step. 8 groups of 8 samples keep a step at seconds on two cores."),
    .integer(
      "rollout.group_size", \.rollout.groupSize, 2...1024,
      "Samples of a prompt, whose mean is the baseline; a group of one has none. 8 is the usual compromise between "
        + "noise and cost."),
    .number(
      "rollout.sampling.temperature", \.rollout.sampling.temperature, .above(0, upTo: 100),
      "Divides the logits, in sampling and in training. 1 samples the policy that is trained."),
    .integer(
      "rollout.sampling.top_k", \.rollout.sampling.topK, 0...10_000_000,
      "Keeps the k most probable tokens; 0 keeps all, so that what is sampled is what is trained."),
    .number(
      "rollout.sampling.top_p", \.rollout.sampling.topP, .above(0, upTo: 1),
      "Keeps the most probable tokens up to this mass; 1 keeps all, for the same reason."),
    .number(
      "rollout.sampling.min_p", \.rollout.sampling.minP, .halfOpen(0, 1),
      "Keeps tokens with at least this share of the most probable one's probability; 0 keeps all, for the same "
        + "reason."),
    .integer(
      "rollout.sampling.max_new_tokens", \.rollout.sampling.maxNewTokens, 1...1_000_000,
      "The largest number of tokens of a sample. 48 is twice what the default task's answer needs."),
    .texts(
      "rollout.stop_strings", \.rollout.stopStrings, countMax: 16,
      "Strings that end a sample. Nothing after </answer> can score."),
    .integer(
      "rollout.max_staleness", \.rollout.maxStaleness, 0...1000,
      "Policy versions that a sample may be behind. 0 is synchronous: on-policy, and repeatable bit for bit."),
    .integer(
      "rollout.slots", \.rollout.slots, 1...65_536,
      "Samples that a worker decodes at once. 32 fills the kernels; more costs memory and gains little."),
    .choice(
      "rollout.precision", \.rollout.precision,
      "Arithmetic of the workers' products, in the run's evaluations too. exact is the learner's own: both give the "
        + "same log-probabilities to the bit. int8 rounds weights and activations to 8 bits: faster and inexact, so "
        + "algorithm.loss.importance_cap is then on unless it is set, and every step reports the mismatch."),
  ]

  private static let algorithmKeys: [SettingKey<RunSettings>] = [
    .choice(
      "algorithm.preset", \.algorithm.preset, among: Preset.all.map(\.name),
      "Where `advantage`, `loss` and `dynamic_sampling` start from; explicit keys win, wherever they stand. "
        + Preset.all.map { "\($0.name): \($0.summary)" }.joined(separator: ". ") + "."),
    .choice(
      "algorithm.advantage.baseline", \.algorithm.advantage.baseline,
      "What a reward is compared with: the group's mean, or the mean of the other samples."),
    .choice(
      "algorithm.advantage.normalize", \.algorithm.advantage.normalize,
      "Divide by the group's standard deviation (GRPO), or not (Dr. GRPO, RLOO)."),
    .choice(
      "algorithm.shaping.kind", \.algorithm.shaping.kind, among: ShapingDefinition.all.map(\.name),
      "How uncertainty shapes an advantage. UADT is what Fovea is for; none is the preset as it is."),
    .choice(
      "algorithm.shaping.level", \.algorithm.shaping.level, formerly: ["sample": .group],
      "UADT: the entropy of the sample itself, or of its whole group. The paper's figure has the sequence's."),
    .number(
      "algorithm.shaping.lambda", \.algorithm.shaping.lambda, .closed(0, 1),
      "UADT: strength. 0 is the preset bit for bit; above 1 the sign could flip. The paper names it without a value; "
        + "0.5 is our choice."),
    .number(
      "algorithm.shaping.gamma", \.algorithm.shaping.gamma, .halfOpen(0, 1),
      "UADT: memory of the threshold. The paper names it without a value; 0.9 remembers about ten steps."),
    .number(
      "algorithm.shaping.sensitivity", \.algorithm.shaping.sensitivity, .above(0, upTo: 1000),
      "UADT: slope of the shaping weight over the relative distance from the threshold. 1 is the plain formula."),
    .number(
      "algorithm.shaping.alpha", \.algorithm.shaping.alpha, .closed(0, 1000),
      "entropy_bonus: weight of the entropy; the paper's value."),
    .number(
      "algorithm.shaping.kappa", \.algorithm.shaping.kappa, .above(1, upTo: 1000),
      "entropy_bonus: the bonus is at most |A| / kappa, so that above 1 no sign flips; the paper's value."),
    .choice(
      "algorithm.loss.aggregation", \.algorithm.loss.aggregation,
      "Mean in each sequence, then over sequences (GRPO); over all tokens (DAPO); by a constant length (Dr. GRPO)."),
    .choice(
      "algorithm.loss.ratio", \.algorithm.loss.ratio,
      "The probability ratio of each token, or of the sequence, normalised by its length (GSPO)."),
    .number(
      "algorithm.loss.clip_low", \.algorithm.loss.clipLow, .closed(0, 1), "The ratio's clip below 1; PPO's value."),
    .number(
      "algorithm.loss.clip_high", \.algorithm.loss.clipHigh, .closed(0, 1000),
      "The ratio's clip above 1; PPO's value."),
    .number(
      "algorithm.loss.kl_coefficient", \.algorithm.loss.klCoefficient, .closed(0, 1000),
      "Weight of the KL to the frozen reference. 0 keeps no reference, which saves its memory and forward pass."),
    .number(
      "algorithm.loss.constant_length", \.algorithm.loss.constantLength, .above(0, upTo: 1e9),
      "Tokens that `aggregation: constant` divides by; only scales the learning rate."),
    .optionalNumber(
      "algorithm.loss.importance_cap", \.algorithm.loss.importanceCap, .above(0, upTo: 1e6),
      "The largest weight of a token when pi_old and the sampling policy differ: stale or truncated samples, inexact "
        + "workers. null turns the correction off; synchronous exact sampling needs none. Where rollout.precision is "
        + "int8 the default is \(RunSettings.inexactImportanceCap), not null."),
    .flag(
      "algorithm.dynamic_sampling", \.algorithm.dynamicSampling,
      "Replaces groups whose rewards are all equal with groups of new prompts. Off, because it costs rollouts."),
    .integer(
      "algorithm.updates_per_step", \.algorithm.updatesPerStep, 1...1024,
      "Optimizer updates of a step; must divide rollout.prompts_per_step. With 1 every update is on-policy."),
  ]

  private static let optimizerKeys: [SettingKey<RunSettings>] = [
    .number(
      "optimizer.learning_rate", \.optimizer.learningRate, .closed(0, 1),
      "AdamW's rate after the warm-up. 1e-5 is high for a large model and suits a small one."),
    .integer(
      "optimizer.warmup_steps", \.optimizer.warmupSteps, 0...10_000_000,
      "Steps of linear rise: AdamW's first second moments are noise."),
    .choice(
      "optimizer.decay", \.optimizer.decay, "The schedule after the warm-up. constant allows a run to be prolonged."),
    .number(
      "optimizer.learning_rate_floor", \.optimizer.learningRateFloor, .closed(0, 1),
      "Share of the rate that linear and cosine decay end at."),
    .number("optimizer.beta1", \.optimizer.beta1, .halfOpen(0, 1), "AdamW's memory of the gradient; the usual value."),
    .number(
      "optimizer.beta2", \.optimizer.beta2, .halfOpen(0, 1),
      "AdamW's memory of its square. 0.99 and not 0.999, because runs are short."),
    .number(
      "optimizer.epsilon", \.optimizer.epsilon, .above(0, upTo: 1), "Keeps AdamW's division finite; the usual value."),
    .number(
      "optimizer.weight_decay", \.optimizer.weightDecay, .closed(0, 1),
      "Decoupled weight decay. 0 keeps what the model has learned before."),
    .number(
      "optimizer.gradient_clip", \.optimizer.gradientClip, .closed(0, 1e6), "Global norm of the gradient; 0 is off."),
    .integer(
      "optimizer.micro_batch_tokens", \.optimizer.microBatchTokens, 1...16_777_216,
      "Tokens of one forward and backward pass of the learner: bounds its memory. A step of more tokens scores them "
        + "in a pass of their own first, which costs a third more time."),
    .choice(
      "optimizer.moments", \.optimizer.moments,
      "What AdamW's two moments are kept in. bfloat16 halves their memory (4 bytes a weight less); they are rounded "
        + "stochastically, by bits that follow from the update, so that runs stay repeatable. float32 is the "
        + "reference."),
    .flag(
      "optimizer.gradient_checkpointing", \.optimizer.gradientCheckpointing,
      "Keeps only the input of each layer and computes its other activations again: the same bits with a sixth of "
        + "their memory, for about a fifth more time. Cheaper than small micro-batches; off, because the default "
        + "fits."),
  ]

  private static let farmKeys: [SettingKey<RunSettings>] = [
    .integer(
      "farm.workers", \.farm.workers, 0...1024,
      "Workers that `fovea train` starts on this machine; 0 waits for workers from elsewhere."),
    .text(
      "farm.listen", \.farm.listen, "an endpoint, tcp://... or ipc://...",
      "Where the coordinator listens. Loopback and a free port: nothing is open to the network unless asked for.",
      isValid: isEndpoint),
    .text(
      "farm.weights_listen", \.farm.weightsListen, "an endpoint, tcp://... or ipc://...",
      "Where the learner serves weights.", isValid: isEndpoint),
    .text(
      "farm.keys", \.farm.keys, "a path, or nothing",
      "Folder of the farm's keys, which `fovea keys init` makes. With keys every connection is encrypted and only "
        + "listed keys connect; without, nothing listens beyond this machine.", isValid: { !$0.utf8.contains(0) }),
    .flag(
      "farm.insecure", \.farm.insecure,
      "Listens beyond this machine without keys. Off: anyone who reaches such a farm can read and change its weights."),
    .integer(
      "farm.worker_threads", \.farm.workerThreads, 0...1024,
      "Kernel threads of a worker; 0 shares the cores evenly among this machine's workers."),
    .integer(
      "farm.learner_threads", \.farm.learnerThreads, 0...1024,
      "Kernel threads of the learner; 0 takes all cores, because workers wait while it trains."),
    .integer(
      "farm.heartbeat_milliseconds", \.farm.heartbeatMilliseconds, 10...60_000,
      "The interval at which a peer says that it is alive."),
    .integer(
      "farm.heartbeats_missed_max", \.farm.heartbeatsMissedMax, 1...1000,
      "A peer that misses this many heartbeats in a row is lost, and its leases go to others."),
    .number(
      "farm.lease_timeout_seconds", \.farm.leaseTimeoutSeconds, .above(0, upTo: 1_000_000),
      "A lease without a result after this time goes to another worker."),
    .integer(
      "farm.attempts_max", \.farm.attemptsMax, 1...1000, "Attempts at a lease before its prompt is quarantined."),
    .number(
      "farm.timeout_seconds", \.farm.timeoutSeconds, .above(0, upTo: 1e9),
      "The longest wait of a run for a learner, an update or a worker, and of a learner for its coordinator; then it "
        + "ends and names what is missing. Six hours: machines may join late, but nothing hangs for ever."
    ).formerly("farm.patience_seconds"),
    .choice(
      "farm.stragglers", \.farm.stragglers, formerly: ["shrink": .partial],
      "A group that takes too long: wait; hedge: an idle worker gets a copy, the first result counts, no bit "
        + "changes; partial: train on the samples that are finished, which depends on timing."),
    .number(
      "farm.straggler_after", \.farm.stragglerAfter, .closed(1, 1000),
      "The multiple of the newest groups' median time after which a group takes too long."),
    .integer(
      "farm.partial_group_min", \.farm.partialGroupMin, 2...4096,
      "The fewest samples of a partial group; its baseline is their mean."
    ).formerly("farm.survivors_min"),
  ]

  private static let checkpointKeys: [SettingKey<RunSettings>] = [
    .integer(
      "checkpoint.every", \.checkpoint.every, 0...10_000_000,
      "Steps between checkpoints; the last step always makes one. 0 makes only that one."),
    .integer(
      "checkpoint.keep", \.checkpoint.keep, 1...1000, "The number of newest checkpoints kept, next to the best."),
  ]

  private static let evaluationKeys: [SettingKey<RunSettings>] = [
    .integer(
      "evaluation.every", \.evaluation.every, 0...10_000_000,
      "Steps between evaluations; the start and the end always have one. 0 makes only those."),
    .integer(
      "evaluation.prompts", \.evaluation.prompts, 1...1_000_000,
      "Held-out prompts of an evaluation, answered greedily; a smaller held-out split is used whole."),
  ]

  @Sendable private static func isPath(_ text: String) -> Bool { !text.isEmpty && !text.utf8.contains(0) }

  @Sendable private static func isEndpoint(_ text: String) -> Bool {
    ["tcp://", "ipc://"].contains { text.hasPrefix($0) && text.count > $0.count } && !text.utf8.contains(0)
  }
}

extension RunSettings.Stage {
  /// The keys of a stage before reinforcement learning.
  /// - Parameter command: runs the stage.
  fileprivate static func keys(_ command: String) -> [SettingKey<Self>] {
    [
      .choices(
        "train", \.train,
        "The parts that `\(command)` changes. Projector pre-training freezes the language model and a pretrained "
          + "vision encoder; a vision encoder with random weights has to be trained too."),
      .integer("steps", \.steps, 1...10_000_000, "Training steps of `\(command)`."),
      .integer(
        "examples_per_step", \.examplesPerStep, 1...65_536,
        "Examples of a step; the loss is the mean over all of their completions' tokens."),
      .number(
        "learning_rate", \.learningRate, .closed(0, 1),
        "AdamW's rate after the warm-up. 2e-5 suits a pretrained model, 1e-3 one with random weights. All other "
          + "settings of the optimizer are those of `optimizer`."),
      .integer("warmup_steps", \.warmupSteps, 0...10_000_000, "Steps of linear rise."),
      .choice(
        "decay", \.decay, "The schedule after the warm-up, over the stage's steps. A stage has an end, so it decays."),
    ]
  }
}
