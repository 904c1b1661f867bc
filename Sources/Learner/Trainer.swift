import Architecture
import Layers
import Model
import ModelFiles
import Processors
import Reinforcement
import Runs
import Settings
import Support
import Tensor
import Training
import Wire

/// The training thread's own: it opens the run's model, trains, publishes and saves, one command after the other.
///
/// Made and used on that one thread; it hears from the event loop through `commands` and answers through `outcomes`, so
/// a step of minutes delays no heartbeat and no worker that fetches weights.
struct Trainer {
  enum Command: Sendable {
    case train(TrainBatch)
    case save
    case keepBest(step: UInt32, accuracy: Float)
  }

  enum Outcome: Sendable {
    /// The model is loaded and its version published.
    case opened(TrainerState, bestAccuracy: Float?)
    case failed(InputError)
    case event(LearnerState.Event)
    case log(String)
  }

  private var session: TrainingSession
  private let description: ModelDescription
  private let weights: ParameterSet
  private let adapter: AdapterDescription?
  private let precision: Precision
  private let rolloutPrecision: RolloutPrecision
  private let publisher: WeightsPublisher
  private let outcomes: Mailbox<Outcome>

  /// The body of the thread: ends when `commands` is closed.
  static func run(
    settings: RunSettings, folder: String, threads: Int, trainers: any PolicyTrainerFactory,
    publisher: WeightsPublisher, commands: Mailbox<Command>, outcomes: Mailbox<Outcome>
  ) {
    do {
      var trainer = try Trainer(
        settings: settings, folder: folder, threads: threads, trainers: trainers, publisher: publisher,
        outcomes: outcomes)
      while let batch = commands.wait() { for command in batch { trainer.perform(command) } }
    } catch let error as InputError {
      outcomes.post(.failed(error))
    } catch {
      outcomes.post(.failed(InputError("open the run", at: folder, expected: "a model", found: "\(error)")))
    }
  }

  /// Resumes from the newest valid checkpoint of the run, or starts from the model of the settings.
  /// - Throws: `InputError` for a model that cannot be loaded, and when there are checkpoints but none is valid.
  private init(
    settings: RunSettings, folder: String, threads: Int, trainers: any PolicyTrainerFactory,
    publisher: WeightsPublisher, outcomes: Mailbox<Outcome>
  ) throws {
    let pool = ThreadPool(threads: threads)
    let model = try TrainedModel(
      settings: settings, folder: folder, pool: pool, training: settings.model.train, key: "model.train",
      log: { outcomes.post(.log($0)) })
    description = model.description
    weights = model.weights
    adapter = model.adapted?.adapter.description
    precision = settings.model.precision
    rolloutPrecision = settings.rollout.precision
    let config = description.config
    let processor = try PromptProcessor(description, place: model.place)
    let policy = try trainers.trainer(of: model, settings: settings, pool: pool)
    let reference = try Self.reference(
      settings, config: config, start: model.isResumed || adapter != nil ? nil : weights, pool: pool,
      trainers: trainers)
    session = TrainingSession(
      step: TrainingStep(
        settings: settings, config: config, policy: policy, reference: reference,
        pixels: { try processor.pixels(of: $0, place: $1) }),
      state: model.state, store: model.store, weights: weights, writeModel: model.write(to:))
    self.publisher = publisher
    self.outcomes = outcomes
    if let adapted = model.adapted {
      publisher.publish(
        base: adapted.base, precision: precision, rolloutPrecision: rolloutPrecision, files: description.files)
    }
    publish()
    outcomes.post(.opened(model.state, bestAccuracy: model.store.folder.best?.accuracy))
  }

  /// The frozen reference of the KL term: the model that the run began with.
  /// - Parameter start: its weights, when they are loaded already; the decoder has its own copy of them.
  private static func reference(
    _ settings: RunSettings, config: ModelConfig, start: ParameterSet?, pool: ThreadPool,
    trainers: any PolicyTrainerFactory
  ) throws -> (any PolicyScorer)? {
    guard settings.algorithm.loss.klCoefficient > 0 else { return nil }
    let weights = try start ?? ModelLoader.load(path: settings.model.path).parameters
    guard weights.parameters == config.parameters else {
      throw InputError(
        "load the reference", at: settings.model.path, expected: "a model shaped like the checkpoint", found: "another")
    }
    return try trainers.scorer(config, weights: weights, precision: settings.model.precision, pool: pool)
  }

  private func publish() {
    publisher.publish(
      version: session.state.policyVersion, parameters: weights, adapter: adapter, precision: precision,
      rolloutPrecision: rolloutPrecision, files: description.files)
  }

  private mutating func perform(_ command: Command) {
    do {
      switch command {
      case .train(let batch):
        let completed = try session.train(
          batch, seconds: { Double(MonotonicClock.now()) / 1_000 },
          progress: { [outcomes] in outcomes.post(.event(.activity($0))) }, weightsWillChange: publisher.settle)
        publish()
        outcomes.post(.event(.trained(completed, cursor: session.state.cursor)))
      case .save:
        try session.save()
        outcomes.post(.event(.saved(step: session.state.nextStep)))
      case .keepBest(let step, let accuracy):
        if try session.keepBest(step: step, accuracy: accuracy) {
          outcomes.post(.log("best so far: accuracy \(accuracy) after step \(step)"))
        }
      }
    } catch {
      switch command {
      case .train: outcomes.post(.event(.trainingFailed("\(error)")))
      case .save: outcomes.post(.event(.saveFailed("\(error)")))
      case .keepBest: outcomes.post(.log("\(error)"))
      }
    }
  }
}
