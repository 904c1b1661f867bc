import Support
import Tensor
import Testing
import Wire

/// Weights of a tiny model: two matrices and two vectors, of sizes that fill no chunk.
func tinyWeights(seed: UInt64) -> ParameterSet {
  let parameters = ParameterSet(parameters: [
    ParameterShape(name: "embed", shape: [61, 33]), ParameterShape(name: "norm", shape: [33]),
    ParameterShape(name: "up", shape: [129, 33]), ParameterShape(name: "bias", shape: [129]),
  ])
  var random = RandomStream(seed: seed, purpose: .test)
  for index in parameters.parameters.indices {
    for scalar in parameters.scalars(index).indices { parameters.scalars(index)[scalar] = random.uniform() - 0.5 }
  }
  return parameters
}

/// A version that differs from the one before in few bf16 bits.
func updated(_ parameters: ParameterSet, by relative: Float, seed: UInt64) -> ParameterSet {
  let result = ParameterSet(parameters: parameters.parameters)
  var random = RandomStream(seed: seed, purpose: .test)
  for index in 0..<parameters.values.count {
    let value = parameters.values.pointer[index]
    result.values.pointer[index] = value * (1 + relative * (random.next() & 1 == 0 ? 1 : -1))
  }
  return result
}

func payload(_ version: UInt64, _ parameters: ParameterSet) -> WeightsPayload {
  WeightsPayload(
    version: PolicyVersion(version), parameters: parameters, files: ["config.json": Array("{}".utf8)],
    chunkByteCount: 1024)
}

extension WeightsPublisher {
  /// Publishes weights that are the payload's when they are rounded.
  func publish(_ payload: WeightsPayload) {
    let manifest = payload.manifest
    let parameters = ParameterSet(
      parameters: manifest.tensors.map { ParameterShape(name: $0.name, shape: $0.shape.map(Int.init)) })
    do { try payload.copy(to: parameters) } catch { Issue.record(error) }
    publish(
      version: manifest.version, parameters: parameters,
      precision: manifest.tensors.contains { $0.encoding == .bfloat16 } ? .bfloat16 : .float32, files: manifest.files,
      chunkByteCount: manifest.chunkByteCount)
  }
}

/// A learner and a worker with a bad line between them.
struct BadLine {
  let publisher = WeightsPublisher()
  var fetcher = WeightsFetcher(window: 4)
  var random: RandomStream
  /// Of every 100 messages.
  var lost: UInt64 = 0
  var doubled: UInt64 = 0
  var reordered = false
  /// Changes an answer on its way.
  var tamper: (Message) -> Message = { $0 }
  var now: Milliseconds = 0
  private var answers: [Message] = []
  var finished: [WeightsPayload] = []
  var rejected: [String] = []
  var encodings: [WeightsChunk.Encoding] = []
  var requestCount = 0

  init(seed: UInt64 = 1) { random = RandomStream(seed: seed, purpose: .test) }

  mutating func tell(_ event: WeightsFetcher.Event) {
    for effect in fetcher.on(event, now: now) {
      switch effect {
      case .send(let message):
        requestCount += 1
        if random.integer(below: 100) < lost { continue }
        for answer in publisher.answers(to: message) {
          if random.integer(below: 100) < lost { continue }
          answers.append(tamper(answer))
          if random.integer(below: 100) < doubled { answers.append(tamper(answer)) }
        }
      case .finished(let weights): finished.append(weights.payload())
      case .rejected(let reason): rejected.append(reason)
      }
    }
  }

  /// The worker computes with what was finished last.
  mutating func load() {
    if let weights = finished.last { tell(.loaded(weights)) }
  }

  /// Delivers one answer, or lets time go by; false when nothing is on its way.
  mutating func step() -> Bool {
    guard !answers.isEmpty else { return false }
    let answer = answers.remove(at: reordered ? Int(random.integer(below: UInt64(answers.count))) : 0)
    if case .chunk(let chunk) = answer { encodings.append(chunk.encoding) }
    tell(.received(answer))
    return true
  }

  mutating func run(stepsMax: Int = 5000) {
    let before = finished.count
    for _ in 0..<stepsMax where finished.count == before {
      if !step() {
        now += 500
        tell(.tick)
      }
    }
  }
}
