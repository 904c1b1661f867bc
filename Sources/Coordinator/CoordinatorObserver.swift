import Wire

/// Observes a coordinator: the live view, the metrics file, the log. It is called in the order of events, on the
/// runner's own task, so a callback returns quickly.
public struct CoordinatorObserver: Sendable {
  /// The farm as it is now, a few times a second and once at the end.
  public var status: @Sendable (FarmStatus) -> Void
  /// A row for metrics.jsonl.
  public var metrics: @Sendable (MetricsRow) -> Void
  /// A batch as it goes to the learner; again when it is sent again.
  public var batch: @Sendable (TrainBatch) -> Void
  /// A line for people.
  public var log: @Sendable (String) -> Void

  public init(
    status: @escaping @Sendable (FarmStatus) -> Void = { _ in },
    metrics: @escaping @Sendable (MetricsRow) -> Void = { _ in },
    batch: @escaping @Sendable (TrainBatch) -> Void = { _ in },
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.status = status
    self.metrics = metrics
    self.batch = batch
    self.log = log
  }
}
