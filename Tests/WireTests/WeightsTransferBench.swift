import Architecture
import Foundation
import Support
import Tensor
import Testing
import Wire

/// The transfer of a real model's weights over loopback TCP. Figures are printed; FOVEA_BENCH=1 runs it.
@Suite(.serialized) struct WeightsTransferBench {
  /// Wall time and the process's processor time: the machine may be busy with something else.
  private func seconds(_ body: () async throws -> Void) async rethrows -> (wall: Double, processor: Double) {
    let before = clock()
    let wall = try await ContinuousClock().measure { try await body() } / .seconds(1)
    return (wall, Double(clock() - before) / Double(CLOCKS_PER_SEC))
  }

  @Test(.enabled(if: ProcessInfo.processInfo.environment["FOVEA_BENCH"] != nil, "FOVEA_BENCH is not set"))
  func transfer() async throws {
    // 135 million parameters as SmolLM2's.
    let shapes = ModelConfig(
      vocabularySize: 49_152, hiddenSize: 576, feedForwardSize: 1536, layerCount: 30, headCount: 9, keyValueHeadCount: 3
    ).parameters
    let weights = ParameterSet(parameters: shapes)
    var random = RandomStream(seed: 1, purpose: .test)
    // About as many of each magnitude as in a trained matrix: a sum of four uniform numbers.
    for index in 0..<weights.values.count {
      weights.values.pointer[index] = ((0..<4).reduce(Float(0)) { sum, _ in sum + random.uniform() } - 2) * 0.05
    }

    let publisher = WeightsPublisher()
    var payload: WeightsPayload?
    let making = await seconds {
      payload = WeightsPayload(version: PolicyVersion(1), parameters: weights, files: [:])
    }
    let megabytes = Double(payload!.manifest.payloadByteCount) / 1e6
    print(
      String(format: "payload of %.0f MB made in %.3f s, processor %.3f s", megabytes, making.wall, making.processor))
    publisher.publish(version: PolicyVersion(1), parameters: weights, precision: .bfloat16, files: [:])

    let server = try Reactor(sockets: [.router(.weights, listen: "tcp://127.0.0.1:*")])
    let client = try Reactor(sockets: [.dealer(.weights, connect: server.boundEndpoint(of: .weights))])
    let serving = Task {
      for await event in server.events {
        guard case .received(let message, _, let peer) = event else { continue }
        for answer in publisher.answers(to: message) { server.send(answer, on: .weights, to: peer) }
      }
    }
    var fetcher = WeightsFetcher()
    var byteCount = 0
    func fetch(_ version: UInt64) async {
      byteCount = 0
      var effects = fetcher.on(.announced(PolicyVersion(version)), now: MonotonicClock.now())
      for await event in client.events {
        for effect in effects {
          switch effect {
          case .send(let message): client.send(message, on: .weights)
          case .finished(let weights): _ = fetcher.on(.loaded(weights.payload()), now: MonotonicClock.now())
          case .rejected(let reason): Issue.record("\(reason)")
          }
        }
        if fetcher.version == PolicyVersion(version) { return }
        switch event {
        case .received(let message, _, _):
          if case .chunk(let chunk) = message { byteCount += chunk.bytes.count }
          effects = fetcher.on(.received(message), now: MonotonicClock.now())
        case .tick(let now): effects = fetcher.on(.tick, now: now)
        default: effects = []
        }
      }
    }
    func report(_ what: String, _ time: (wall: Double, processor: Double)) {
      print(
        String(
          format: "%@: %.3f s, processor %.3f s on both sides, %.0f MB/s of weights, %.1f MB sent", what, time.wall,
          time.processor, megabytes / time.wall, Double(byteCount) / 1e6))
    }
    report("plain", await seconds { await fetch(1) })
    for (version, relative) in [(2, Float(1e-5)), (3, 1e-4), (4, 1e-3)] {
      publisher.settle()
      for index in 0..<weights.values.count {
        weights.values.pointer[index] *= 1 + relative * (random.next() & 1 == 0 ? 1 : -1)
      }
      publisher.publish(
        version: PolicyVersion(UInt64(version)), parameters: weights, precision: .bfloat16, files: [:])
      report("after a relative update of \(relative)", await seconds { await fetch(UInt64(version)) })
    }
    serving.cancel()
  }
}
