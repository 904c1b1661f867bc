import Support
import Tensor
import Wire

/// The transfer of weights: a publisher that receives arbitrary requests, and a fetcher that receives arbitrary
/// answers.
///
/// What a fetcher calls finished has the hash of its manifest, so all of it can be read.
struct WeightsUnderFuzz {
  /// Three chunks of 1 KiB.
  private static let shapes = [
    ParameterShape(name: "a.weight", shape: [40, 24]), ParameterShape(name: "norm.weight", shape: [100]),
  ]

  private let publisher = WeightsPublisher()
  private let parameters = ParameterSet(parameters: WeightsUnderFuzz.shapes)
  private var fetcher = WeightsFetcher(window: 2, payloadByteCountMax: 1 << 20)
  private var now: Milliseconds = 0
  private var version: UInt64 = 0
  private var requests: [Message] = []
  private var answers: [Message] = []

  /// - Throws: `InputError` when the fetcher rejected something, so that inputs of both kinds can be distinguished.
  static func run(_ input: FuzzInput) throws {
    var input = input
    var transfer = WeightsUnderFuzz()
    var rejection: String?
    transfer.publish(0)
    input.events { if let reason = transfer.event(&$0) { rejection = reason } }
    if let rejection { throw InputError("fetch weights", at: "input", expected: "a version", found: rejection) }
  }

  /// Makes the next version; some scalars differ from those of the last.
  private mutating func publish(_ seed: UInt8) {
    publisher.settle()
    for index in Self.shapes.indices {
      let scalars = parameters.scalars(index)
      for at in stride(from: Int(seed), to: scalars.count, by: 1 + Int(seed)) { scalars[at] += Float(at) + 1 }
    }
    version += 1
    publisher.publish(
      version: PolicyVersion(version), parameters: parameters, precision: .bfloat16,
      files: ["config.json": [0x7B, 0x7D]],
      chunkByteCount: 1024)
  }

  /// - Returns: why the fetcher rejected something.
  private mutating func event(_ input: inout FuzzInput) -> String? {
    switch input.byte() % 7 {
    case 0:
      now += Milliseconds(input.byte()) * 40
      return on(.tick)
    case 1:
      if version < 8 { publish(input.byte()) }
      return on(.announced(PolicyVersion(version)))
    case 2:
      if !requests.isEmpty { answers += publisher.answers(to: requests.removeFirst()) }
      return nil
    case 3: return answers.isEmpty ? nil : on(.received(answers.removeFirst()))
    case 4:
      // A worker that asks for anything.
      if case .success(let message) = input.received(requests.first) {
        for answer in publisher.answers(to: message) { _ = MessageCodec.encode(answer) }
      }
      return nil
    default:
      guard case .success(let message) = input.received(answers.first) else { return nil }
      return on(.received(message))
    }
  }

  private mutating func on(_ event: WeightsFetcher.Event) -> String? {
    var rejection: String?
    for effect in fetcher.on(event, now: now) {
      switch effect {
      case .send(let message): requests.append(message)
      case .rejected(let reason): rejection = reason
      case .finished(let weights): rejection = on(.loaded(weights.payload())) ?? rejection
      }
    }
    return rejection
  }
}
