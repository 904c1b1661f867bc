import Support
import Tensor
import Testing
import Wire

@Suite struct WeightsTransferTests {
  private func same(_ a: WeightsPayload, _ b: WeightsPayload) -> Bool {
    a.manifest == b.manifest
      && a.manifest.tensors.indices.allSatisfy { index in
        switch a.manifest.tensors[index].encoding {
        case .bfloat16: a.withBFloat16(index) { a in b.withBFloat16(index) { a.elementsEqual($0) } }
        case .float32: a.withFloat32(index) { a in b.withFloat32(index) { a.elementsEqual($0) } }
        }
      }
  }

  @Test("a worker gets the learner's bytes, chunk by chunk") func first() {
    var line = BadLine()
    let sent = payload(5, tinyWeights(seed: 1))
    line.publisher.publish(sent)
    line.tell(.announced(PolicyVersion(5)))
    line.run()
    #expect(line.finished.count == 1)
    #expect(same(line.finished[0], sent))
    #expect(line.rejected.isEmpty)
    #expect(line.fetcher.version == PolicyVersion(5))
  }

  @Test("matrices travel as bf16 and vectors as fp32; in float32 everything does") func encodings() throws {
    let weights = tinyWeights(seed: 2)
    let halves = payload(1, weights)
    #expect(halves.manifest.tensors.map(\.encoding) == [.bfloat16, .float32, .bfloat16, .float32])
    #expect(halves.offsets.allSatisfy { $0 % 64 == 0 })
    #expect(halves.withFloat32(1) { $0.elementsEqual(weights.scalars(1)) })
    let whole = WeightsPayload(version: PolicyVersion(1), parameters: weights, precision: .float32, files: [:])
    let copy = ParameterSet(parameters: weights.parameters)
    try whole.copy(to: copy)
    #expect(weights.values.elements.elementsEqual(copy.values.elements))
  }

  @Test("bf16 is the nearest, an even one at a tie, and a NaN stays one", arguments: [1, 15, 16, 17, 40])
  func rounding(count: Int) {
    let cases: [(Float, UInt16)] = [
      (1, 0x3F80), (1 + 0x1p-8, 0x3F80), (1 + 0x1p-8 + 0x1p-20, 0x3F81), (1 + 0x3p-8, 0x3F82), (-1 - 0x3p-8, 0xBF82),
      (1 + 0x1p-7, 0x3F81), (0, 0), (-0.0, 0x8000), (.infinity, 0x7F80), (-.infinity, 0xFF80),
      (.greatestFiniteMagnitude, 0x7F80), (.leastNonzeroMagnitude, 0), (0x1p-126, 0x0080), (.pi, 0x4049),
    ]
    for (value, bits) in cases {
      let parameters = ParameterSet(parameters: [ParameterShape(name: "w", shape: [1, count])])
      parameters.scalars(0).update(repeating: value)
      #expect(payload(1, parameters).withBFloat16(0) { $0.allSatisfy { $0 == bits } }, "\(value)")
    }
    let parameters = ParameterSet(parameters: [ParameterShape(name: "w", shape: [1, count])])
    parameters.scalars(0).update(repeating: Float(bitPattern: 0xFF80_0001))
    #expect(payload(1, parameters).withBFloat16(0) { $0.allSatisfy { $0 & 0x7F80 == 0x7F80 && $0 & 0x7F != 0 } })
  }

  @Test("a worker that holds the version before takes differences and ends with the same bytes") func differences() {
    var line = BadLine()
    let old = tinyWeights(seed: 3)
    line.publisher.publish(payload(1, old))
    line.tell(.announced(PolicyVersion(1)))
    line.run()
    line.load()
    line.encodings = []
    let sent = payload(2, updated(old, by: 1e-5, seed: 1))
    line.publisher.publish(sent)
    line.tell(.announced(PolicyVersion(2)))
    line.run()
    #expect(line.finished.count == 2)
    #expect(same(line.finished[1], sent))
    #expect(line.encodings.contains(.differenceZstd))
  }

  @Test("loss, doubling and reordering of messages change nothing but the time", arguments: 0..<20)
  func badLine(seed: Int) {
    var line = BadLine(seed: UInt64(seed))
    line.lost = 20
    line.doubled = 20
    line.reordered = true
    var weights = tinyWeights(seed: 4)
    for version in 1...4 {
      let sent = payload(UInt64(version), weights)
      line.publisher.publish(sent)
      line.tell(.announced(PolicyVersion(UInt64(version))))
      line.run()
      #expect(line.finished.count == version)
      #expect(same(line.finished[version - 1], sent))
      #expect(line.rejected.isEmpty)
      line.load()
      weights = updated(weights, by: 1e-4, seed: UInt64(version))
    }
  }

  @Test("a version that is gone in the middle gives way to the newest, whatever was fetched before", arguments: 0..<12)
  func versionChanges(steps: Int) {
    var line = BadLine(seed: 9)
    line.reordered = true
    var weights = tinyWeights(seed: 5)
    line.publisher.publish(payload(1, weights))
    line.tell(.announced(PolicyVersion(1)))
    for _ in 0..<steps { _ = line.step() }
    for version in 2...4 {
      weights = updated(weights, by: 1e-4, seed: UInt64(version))
      line.publisher.publish(payload(UInt64(version), weights))
      line.tell(.announced(PolicyVersion(UInt64(version))))
      for _ in 0..<steps { _ = line.step() }
    }
    for _ in 0..<10 where line.fetcher.version != PolicyVersion(4) {
      line.run()
      line.load()
    }
    #expect(line.finished.last.map { same($0, payload(4, weights)) } == true)
    #expect(line.rejected.isEmpty)
  }

  @Test("a transfer that the learner can still serve is finished before a newer one begins") func finishesFirst() {
    var line = BadLine()
    let old = tinyWeights(seed: 6)
    line.publisher.publish(payload(1, old))
    line.tell(.announced(PolicyVersion(1)))
    for _ in 0..<3 { _ = line.step() }
    line.publisher.publish(payload(2, updated(old, by: 1e-3, seed: 1)))
    line.tell(.announced(PolicyVersion(2)))
    line.run()
    #expect(line.fetcher.version == PolicyVersion(1))
    // The buffer belongs to the caller until it says so.
    let isBusy = line.step()
    #expect(!isBusy)
    line.load()
    line.run()
    #expect(line.fetcher.version == PolicyVersion(2))
  }

  @Test("a wrong hash is rejected, and everything is fetched again") func wrongHash() {
    var line = BadLine()
    let sent = payload(1, tinyWeights(seed: 7))
    line.publisher.publish(sent)
    line.tamper = { message in
      guard case .chunk(var chunk) = message, chunk.index == 3 else { return message }
      chunk.bytes[10] ^= 1
      return .chunk(chunk)
    }
    line.tell(.announced(PolicyVersion(1)))
    for _ in 0..<1000 where line.rejected.isEmpty { _ = line.step() }
    #expect(line.rejected.first?.contains("hash") == true)
    #expect(line.finished.isEmpty)
    line.tamper = { $0 }
    line.run()
    #expect(line.finished.count == 1)
    #expect(same(line.finished[0], sent))
  }

  @Test("malformed chunks are rejected one by one and the transfer ends well", arguments: 0..<4)
  func malformedChunks(kind: Int) {
    var line = BadLine()
    let old = tinyWeights(seed: 8)
    line.publisher.publish(payload(1, old))
    line.tell(.announced(PolicyVersion(1)))
    line.run()
    line.load()
    let sent = payload(2, updated(old, by: 1e-5, seed: 2))
    line.publisher.publish(sent)
    var spoiled = 0
    let spoil: (Message) -> Message = { message in
      guard case .chunk(var chunk) = message, chunk.index % 2 == 1 else { return message }
      switch kind {
      case 0: chunk.bytes = Array(chunk.bytes.dropLast(2))
      case 1: chunk.base = PolicyVersion(77)
      case 2: chunk.index = 4_000_000
      default: chunk.bytes = Array(repeating: 0xFF, count: chunk.bytes.count)
      }
      return .chunk(chunk)
    }
    line.tamper = spoil
    line.tell(.announced(PolicyVersion(2)))
    while line.step() { spoiled += 1 }
    line.tamper = { $0 }
    line.run()
    #expect(spoiled > 0)
    #expect(!line.rejected.isEmpty)
    #expect(line.finished.count == 2)
    #expect(same(line.finished[1], sent))
  }

  @Test("a manifest larger than the machine is rejected before a byte is allocated") func tooLarge() {
    var fetcher = WeightsFetcher(payloadByteCountMax: 1000)
    _ = fetcher.on(.announced(PolicyVersion(1)), now: 0)
    let manifest = payload(1, tinyWeights(seed: 1)).manifest
    let effects = fetcher.on(.received(.manifest(manifest)), now: 0)
    guard case .rejected(let reason)? = effects.first, effects.count == 1 else {
      Issue.record("\(effects)")
      return
    }
    #expect(reason.contains("1000"))
  }

  @Test("what is under way stays within the window") func window() {
    var fetcher = WeightsFetcher(window: 3)
    let publisher = WeightsPublisher()
    publisher.publish(payload(1, tinyWeights(seed: 1)))
    var underway = 0
    var answers: [Message] = []
    func perform(_ effects: [WeightsFetcher.Effect]) {
      for case .send(let message) in effects {
        let more = publisher.answers(to: message)
        if case .chunkRequest = message { underway += more.count }
        answers += more
      }
    }
    perform(fetcher.on(.announced(PolicyVersion(1)), now: 0))
    while !answers.isEmpty {
      let answer = answers.removeFirst()
      if case .chunk = answer { underway -= 1 }
      perform(fetcher.on(.received(answer), now: 0))
      #expect(underway <= 3)
    }
    #expect(fetcher.version == PolicyVersion(1))
  }

  @Test("silence is answered by asking again, ever more rarely") func silence() {
    var fetcher = WeightsFetcher()
    var asked: [Milliseconds] = []
    for now in stride(from: Milliseconds(0), through: 100_000, by: 100) {
      let effects = fetcher.on(now == 0 ? .announced(PolicyVersion(1)) : .tick, now: now)
      if !effects.isEmpty { asked.append(now) }
    }
    #expect(asked == [0, 2000, 6000, 14_000, 30_000, 60_000, 90_000])
  }

  @Test("a line so slow that a chunk takes longer than the time-out carries few second copies") func slowLine() {
    var fetcher = WeightsFetcher()
    let publisher = WeightsPublisher()
    publisher.publish(payload(1, tinyWeights(seed: 1)))
    var line: [Message] = []
    var delivered = 0
    func perform(_ effects: [WeightsFetcher.Effect]) {
      for case .send(let message) in effects { line += publisher.answers(to: message) }
    }
    perform(fetcher.on(.announced(PolicyVersion(1)), now: 0))
    for now in stride(from: Milliseconds(500), to: 1_000_000, by: 500) where fetcher.version == nil {
      if now % 5000 == 0, !line.isEmpty {
        delivered += 1
        perform(fetcher.on(.received(line.removeFirst()), now: now))
      } else {
        perform(fetcher.on(.tick, now: now))
      }
    }
    #expect(fetcher.version == PolicyVersion(1))
    // The manifest twice, 14 chunks, and the window of 8 that was asked for twice more before the line's pace was
    // known.
    #expect(delivered <= 2 + 14 + 16)
  }

  @Test("a settled version keeps its bytes while the master weights change") func settledVersion() throws {
    let weights = tinyWeights(seed: 1)
    let sent = payload(1, weights)
    let publisher = WeightsPublisher()
    publisher.publish(
      version: PolicyVersion(1), parameters: weights, precision: .bfloat16, files: [:], chunkByteCount: 1024)
    func bytes() -> [UInt8] {
      (0..<sent.manifest.chunkCount).flatMap { index -> [UInt8] in
        let request = ChunkRequest(version: PolicyVersion(1), first: UInt32(index), count: 1, base: nil)
        guard case .chunk(let chunk)? = publisher.answers(to: .chunkRequest(request)).first else { return [] }
        return chunk.bytes
      }
    }
    let expected = (0..<sent.manifest.chunkCount).flatMap { Array(sent.chunk($0)) }
    #expect(bytes() == expected)
    publisher.settle()
    for i in 0..<weights.values.count { weights.values.pointer[i] += 1 }
    #expect(bytes() == expected)
    publisher.publish(
      version: PolicyVersion(2), parameters: weights, precision: .bfloat16, files: [:], chunkByteCount: 1024)
    #expect(bytes() == expected)
    publisher.settle()
    #expect(bytes().isEmpty, "the oldest version makes room for the next")
  }

  @Test("a difference is computed once for all workers, and payloads are bounded") func publisherIsBounded() {
    let publisher = WeightsPublisher(versionsKept: 2)
    let old = tinyWeights(seed: 10)
    for version in 1...3 { publisher.publish(payload(UInt64(version), old)) }
    func ask(_ version: UInt64, base: UInt64?) -> WeightsChunk? {
      let request = ChunkRequest(
        version: PolicyVersion(version), first: 0, count: 1, base: base.map { PolicyVersion($0) })
      guard case .chunk(let chunk)? = publisher.answers(to: .chunkRequest(request)).first else { return nil }
      return chunk
    }
    #expect(ask(1, base: nil)?.encoding == .gone)
    #expect(ask(2, base: nil)?.encoding == .plain)
    #expect(ask(3, base: 1)?.encoding == .plain)
    #expect(ask(3, base: 2)?.encoding == .differenceZstd)
    #expect(ask(3, base: 2) == ask(3, base: 2))
  }

  @Test("requests beyond the payload have no answer") func beyond() {
    let publisher = WeightsPublisher()
    #expect(publisher.answers(to: .manifestRequest(.policy)).isEmpty)
    publisher.publish(payload(1, tinyWeights(seed: 1)))
    let request = ChunkRequest(version: PolicyVersion(1), first: 1 << 30, count: 32, base: nil)
    #expect(publisher.answers(to: .chunkRequest(request)).isEmpty)
  }

  @Test("tensors of another model are refused by name") func otherModel() {
    let sent = payload(1, tinyWeights(seed: 1))
    var shapes = tinyWeights(seed: 1).parameters
    shapes[2].shape = [33, 129]
    let error = #expect(throws: InputError.self) { try sent.manifest.check(against: shapes) }
    #expect(error?.place.contains("up") == true)
  }
}
