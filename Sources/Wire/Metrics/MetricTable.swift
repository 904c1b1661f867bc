extension MetricDefinition {
  /// Every metric. A new one is a line here and the line that measures it.
  public static let all: [MetricDefinition] = coordinator + learner + stage + evaluation

  private static let coordinator: [MetricDefinition] = [
    .init("reward", .number, .coordinator, "mean reward of the step's samples"),
    .init("reward_std", .number, .coordinator, "standard deviation of the rewards"),
    .init("accuracy", .number, .coordinator, "mean score of the answers, 0 to 1, unweighted"),
    .init("format", .number, .coordinator, "mean score of the answers' format, 0 to 1, unweighted"),
    .init("completion_tokens", .tokens, .coordinator, "mean length of a completion, the stop token included"),
    .init("truncated", .share, .coordinator, "samples that ended at the length limit"),
    .init(
      "zero_variance", .share, .coordinator, "sampled groups whose rewards are all equal: they carry no gradient"),
    .init("groups", .count, .coordinator, "groups of the step"),
    .init("samples", .count, .coordinator, "completions of the step"),
    .init("tokens", .tokens, .coordinator, "completion tokens of the step"),
    .init(
      "groups_replaced", .count, .coordinator, "groups without variance that dynamic sampling replaced in the step"),
    .init(
      "prompts_quarantined", .count, .coordinator, "prompts of the step that failed `farm.attempts_max` times"),
    .init(
      "staleness", .versions, .coordinator, "mean distance from the version that sampled to the one that is trained"),
    .init("staleness_max", .versions, .coordinator, "the largest such distance"),
    .init("samples_total", .count, .coordinator, "samples trained since the run began, over all resumes"),
    .init("rollout_seconds", .seconds, .coordinator, "from the step's first lease to its last group"),
    .init("train_seconds", .seconds, .coordinator, "from handing over the batch to the new version"),
    .init("step_seconds", .seconds, .coordinator, "since the step before, evaluations and waits included"),
    .init(
      "seconds_elapsed", .seconds, .coordinator,
      "since this process started the run or resumed it; in every row, also of evaluations and stages"),
    .init(
      "tokens_per_second", .tokensPerSecond, .coordinator,
      "completion tokens over `rollout_seconds`, all workers together; of a stage, `train_tokens` over `step_seconds`"),
    .init("requeued", .count, .coordinator, "leases given out again, since the run began"),
    .init("duplicates", .count, .coordinator, "results of a lease that had one, since the run began"),
    .init("late", .count, .coordinator, "results that came after their step, since the run began"),
    .init("stale", .count, .coordinator, "results from too old or unknown a version, since the run began"),
    .init("malformed", .count, .coordinator, "frames and results dropped as malformed, since the run began"),
    .init("workers_lost", .count, .coordinator, "workers lost, since the run began"),
    .init("quarantined", .count, .coordinator, "prompts that failed for good, since the run began"),
    .init("hedged", .count, .coordinator, "groups given to a second worker (`farm.stragglers`), since the run began"),
    .init(
      "partial_groups", .count, .coordinator,
      "groups handed in as partial groups (`farm.stragglers`), since the run began"),
    .init(
      "heldout_accuracy_start", .share, .coordinator,
      "in a live status: `heldout_accuracy` of the first evaluation that this process saw"),
  ]

  private static let learner: [MetricDefinition] =
    [
      .init("loss", .number, .learner, "the policy loss; of a stage, the cross-entropy of the completions' tokens"),
      .init("kl", .nats, .learner, "mean k3 estimate of KL to the reference, when there is one"),
      .init("entropy", .nats, .learner, "mean over sequences of the mean token entropy; of a stage, mean over tokens"),
      .init("entropy_min", .nats, .learner, "the least mean token entropy of a sequence"),
      .init("entropy_max", .nats, .learner, "the largest mean token entropy of a sequence"),
    ]
    + [10, 25, 50, 75, 90].map {
      .init("entropy_p\($0)", .nats, .learner, "percentile \($0) of the sequences' mean token entropies")
    } + [
      .init("tau", .nats, .learner, "the uncertainty threshold after this step"),
      .init("omega", .number, .learner, "UADT: mean shaping weight, -1 to 1"),
      .init("omega_std", .number, .learner, "UADT: standard deviation of the shaping weight"),
    ]
    + (0..<10).map {
      .init("omega_bin_\($0)", .share, .learner, "UADT: sequences whose shaping weight is in tenth \($0) of -1 to 1")
    } + [
      .init("uncertain_positive", .share, .learner, "sequences above tau with a positive advantage"),
      .init("uncertain_negative", .share, .learner, "sequences above tau with a negative advantage"),
      .init("certain_positive", .share, .learner, "sequences at or below tau with a positive advantage"),
      .init("certain_negative", .share, .learner, "sequences at or below tau with a negative advantage"),
      .init("advantage_abs", .number, .learner, "mean size of an advantage before shaping"),
      .init("zero_variance_trained", .share, .learner, "trained groups that carry no gradient"),
      .init("ratio", .number, .learner, "mean pi_theta / pi_old over tokens"),
      .init("ratio_max", .number, .learner, "largest pi_theta / pi_old of a token"),
      .init("clip_low", .share, .learner, "tokens whose ratio was clipped below"),
      .init("clip_high", .share, .learner, "tokens whose ratio was clipped above"),
      .init("importance", .number, .learner, "mean truncated importance weight, when the correction is on"),
      .init("importance_capped", .share, .learner, "tokens at the cap of the importance weight"),
      .init(
        "logprob_mismatch", .nats, .learner,
        "mean difference between the worker's log-probabilities and the learner's at equal version: 0 where "
          + "rollouts are exact"
      ),
      .init("logprob_mismatch_max", .nats, .learner, "the largest such difference"),
      .init(
        "logprob_mismatch_kl", .nats, .learner,
        "k3 estimate of KL(worker's policy, learner's policy) a token from the same tokens; "
          + "truncated sampling biases it"
      ),
      .init("gradient_norm", .number, .learner, "global norm before clipping, the largest of the step's updates"),
      .init("learning_rate", .number, .learner, "the rate of this step"),
      .init("updates_skipped", .count, .learner, "updates whose gradient was not finite"),
      .init("train_tokens", .tokens, .learner, "tokens of the batch, each prompt once"),
      .init("train_tokens_per_second", .tokensPerSecond, .learner, "`train_tokens` over the training time"),
      .init("forward_seconds", .seconds, .learner, "training time of forward passes"),
      .init("backward_seconds", .seconds, .learner, "training time of backward passes"),
      .init("optimizer_seconds", .seconds, .learner, "training time of the optimizer"),
    ]

  private static let stage: [MetricDefinition] = [
    .init("examples", .count, .stage, "examples of the step")
  ]

  private static let evaluation: [MetricDefinition] = [
    .init("heldout_accuracy", .share, .evaluation, "mean accuracy over the held-out prompts, each answered greedily"),
    .init("heldout_format", .share, .evaluation, "mean format score over the same answers"),
    .init("heldout_prompts", .count, .evaluation, "prompts asked"),
    .init("heldout_failed", .count, .evaluation, "prompts that failed; they count as wrong"),
    .init("heldout_completion_tokens", .tokens, .evaluation, "mean length of an answer"),
    .init("heldout_truncated", .share, .evaluation, "answers that ended at the length limit"),
    .init("heldout_seconds", .seconds, .evaluation, "duration of the evaluation"),
    .init(
      "heldout_loss", .nats, .evaluation, "of a stage: cross-entropy of the held-out completions' tokens"),
  ]
}
