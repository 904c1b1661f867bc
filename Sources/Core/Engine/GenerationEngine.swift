import Architecture
import CKernels
import Layers
import Model
import Prompts
import Support
import Tensor

/// Continuous batching over slots: requests join and leave between decode steps.
///
/// `step()` is the definition: start waiting groups while slots are free (their prompts are prefilled once and shared
/// by all their samples), then sample one token for every active sample, and return the samples that ended. A sample's
/// tokens depend only on the weights, its prompt, its sampling settings and its `SampleKey`; not on what else is being
/// decoded. Not thread-safe: one owner, one call at a time.
public final class GenerationEngine {
  /// Samples decoded at once.
  public let slotCount: Int
  /// Tokens sampled since the start.
  public private(set) var tokensSampled: UInt64 = 0
  /// Prompt tokens prefilled since the start.
  public private(set) var tokensPrefilled: UInt64 = 0

  private let decoder: Decoder
  private let bytesOfToken: (Int32) -> [UInt8]
  private let cache: KeyValueCache
  private var waiting: [PromptGroup] = []
  private var active: [ActiveSample] = []
  /// Blocks that the started groups and samples may still take.
  private var reservedBlocks = 0
  private var logits = ScratchBuffer<Float>()
  private var samplingScratch = ScratchBuffer<Float>()

  /// - Parameters:
  ///   - decoder: the policy; its weights may change only while the engine is idle.
  ///   - slotCount: samples decoded at once.
  ///   - positions: positions that one sample may use on average, which bounds the cache; the model's own limit at
  ///     most.
  ///   - bytesOfToken: a token's bytes, for stop strings.
  package init(
    decoder: Decoder, slotCount: Int, positions: Int = 4096, bytesOfToken: @escaping (Int32) -> [UInt8]
  ) {
    precondition(slotCount > 0, "an engine needs a slot")
    self.decoder = decoder
    self.slotCount = slotCount
    self.bytesOfToken = bytesOfToken
    let perSequence = KeyValueCache.blocks(for: min(positions, decoder.config.maxPositions)) + 1
    let atLeast = KeyValueCache.blocks(for: decoder.config.maxPositions) * 2 + 2
    cache = KeyValueCache(
      config: decoder.config, precision: decoder.precision, layerCount: decoder.config.layerCount,
      blockCount: max(2 * slotCount * perSequence, atLeast))
  }

  /// Slots that no sample uses or waits for.
  public var freeSlotCount: Int { max(0, slotCount - active.count - waiting.reduce(0) { $0 + $1.samplesToStart }) }
  /// Whether nothing is active or waiting.
  public var isIdle: Bool { active.isEmpty && waiting.isEmpty }

  /// The tokens so far of a sample that has not ended, for showing text as it grows; empty when it is not active.
  public func tokens(of request: UInt64, sample: Int) -> [Int32] {
    active.first { $0.group.request.id == request && $0.index == sample }?.tokens ?? []
  }

  /// Accepts a request; its samples start as slots come free, in the order of submission.
  ///
  /// - Throws: `InputError` when the prompt is empty, holds a token that the vocabulary lacks, or leaves no position
  ///   for an answer, when its images do not fit it or the model, or when the sampling settings are out of range.
  public func submit(_ request: GenerationRequest) throws {
    let place = "request \(request.id)"
    func check(_ holds: Bool, _ what: String, expected: String, found: String) throws {
      if !holds { throw InputError("generate", at: "\(place), \(what)", expected: expected, found: found) }
    }
    let limit = decoder.config.maxPositions
    let count = request.promptTokens.count
    try check(
      count >= 1 && count < limit, "prompt", expected: "1 to \(limit - 1) tokens", found: "\(count)")
    for token in request.promptTokens {
      try check(
        token >= 0 && token < Int32(decoder.config.vocabularySize), "prompt",
        expected: "tokens in 0..<\(decoder.config.vocabularySize)", found: "\(token)")
    }
    try decoder.config.checkImages(request.images, prompt: request.promptTokens, at: place)
    try check(request.sampleCount >= 1, "samples", expected: "at least 1", found: "\(request.sampleCount)")
    if let fault = request.sampling.fault {
      try check(false, fault.setting, expected: fault.expected, found: fault.found)
    }
    waiting.append(PromptGroup(request: request))
  }

  /// Forgets a request: its samples end without a completion.
  public func cancel(request id: UInt64) {
    for sample in active where sample.group.request.id == id { finish(sample) }
    active.removeAll { $0.group.request.id == id }
    for group in waiting where group.request.id == id { releasePrompt(of: group) }
    waiting.removeAll { $0.request.id == id }
  }

  /// Starts what can start, samples one token for every active sample, and returns the completions of those that ended.
  public func step() -> [Completion] {
    var done = start()
    done += decode()
    return done
  }

  // MARK: Starting groups

  private func start() -> [Completion] {
    var done: [Completion] = []
    while let group = waiting.first, active.count < slotCount {
      if !group.isPrefilled {
        let batch = prefillable()
        if batch.isEmpty { break }  // until blocks come free
        prefill(batch)
      }
      while group.samplesToStart > 0 && active.count < slotCount {
        guard let sample = startSample(of: group) else { return done }
        sampleToken(of: [sample], from: group.logits.pointer)
        if let completion = sample.completion {
          finish(sample)
          done.append(completion)
        } else {
          active.append(sample)
        }
      }
      if group.samplesToStart == 0 {
        releasePrompt(of: group)
        waiting.removeFirst()
      }
    }
    return done
  }

  /// Prompt tokens of one forward pass: full rate (two blocks of a product's rows), and not much memory.
  private static let prefillTokens = 384

  /// The next waiting groups that slots and blocks allow, at most `prefillTokens` together (but one group at least).
  private func prefillable() -> [PromptGroup] {
    var batch: [PromptGroup] = []
    var tokens = 0
    var slots = slotCount - active.count
    for group in waiting where !group.isPrefilled {
      let count = group.request.promptTokens.count
      let blocks = KeyValueCache.blocks(for: count)
      guard slots > 0, batch.isEmpty || tokens + count <= Self.prefillTokens else { break }
      guard cache.freeBlockCount - reservedBlocks >= blocks + blocksPerSample(group) else { break }
      group.promptBlocks = (0..<blocks).map { _ in takeBlock() }
      batch.append(group)
      tokens += count
      slots -= group.samplesToStart
    }
    return batch
  }

  private func prefill(_ groups: [PromptGroup]) {
    var rows = RowBatch()
    for group in groups {
      let table = rows.addTable(group.promptBlocks)
      let request = group.request
      let end = rows.addPrompt(request.promptTokens, images: request.images, config: decoder.config, table: table)
      rows.outputs.append(end.last)
      group.rotaryOffset = end.rotaryOffset
    }
    let states = decoder.forward(rows, cache: cache)
    let v = decoder.config.vocabularySize
    let all = logits.reserve(groups.count * v)
    decoder.logits(states.words(at: 0), count: groups.count, into: all)
    for (index, group) in groups.enumerated() {
      group.logits = AlignedBuffer(count: v)
      group.logits.pointer.update(from: all + index * v, count: v)
      group.isPrefilled = true
    }
    tokensPrefilled += UInt64(rows.count)
  }

  /// Blocks that a sample may take for itself: from the prompt's last, partly filled block on.
  private func blocksPerSample(_ group: PromptGroup) -> Int {
    let prompt = group.request.promptTokens.count
    let longest = min(prompt + group.request.sampling.maxNewTokens, decoder.config.maxPositions)
    return KeyValueCache.blocks(for: longest) - prompt / KeyValueCache.blockPositions
  }

  private func startSample(of group: PromptGroup) -> ActiveSample? {
    let own = blocksPerSample(group)
    guard cache.freeBlockCount - reservedBlocks >= own else { return nil }
    reservedBlocks += own
    let sample = ActiveSample(group: group, index: group.nextSample, reservedBlocks: own)
    group.nextSample += 1
    let full = group.request.promptTokens.count / KeyValueCache.blockPositions
    for block in group.promptBlocks[..<full] {
      cache.share(block)
      sample.blocks.append(block)
    }
    if full < group.promptBlocks.count {
      let copy = takeReserved(for: sample)
      cache.copy(group.promptBlocks[full], to: copy)
      sample.blocks.append(copy)
    }
    return sample
  }

  // MARK: Decoding

  private func decode() -> [Completion] {
    guard !active.isEmpty else { return [] }
    var rows = RowBatch()
    for sample in active {
      if sample.position / KeyValueCache.blockPositions == sample.blocks.count {
        sample.blocks.append(takeReserved(for: sample))
      }
      let table = rows.addTable(sample.blocks)
      rows.outputs.append(
        rows.addRow(
          token: sample.tokens.last!, position: sample.position,
          rotary: RotaryPosition(sample.position + sample.group.rotaryOffset), table: table))
      sample.position += 1
    }
    let states = decoder.forward(rows, cache: cache)
    let v = decoder.config.vocabularySize
    let all = logits.reserve(active.count * v)
    decoder.logits(states.words(at: 0), count: active.count, into: all)
    sampleToken(of: active, from: all)
    var done: [Completion] = []
    for sample in active {
      guard let completion = sample.completion else { continue }
      finish(sample)
      done.append(completion)
    }
    active.removeAll { $0.completion != nil }
    return done
  }

  /// Samples the next token of every sample from its row of logits.
  private func sampleToken(of samples: [ActiveSample], from rows: UnsafeMutablePointer<Float>) {
    let v = decoder.config.vocabularySize
    let scratch = samplingScratch.reserve(decoder.pool.threadCount * 3 * v)
    let results = [fv_draw](unsafeUninitializedCapacity: samples.count) { results, count in
      count = samples.count
      let results = results.baseAddress!
      decoder.pool.run(samples.count) { index, thread in
        let sample = samples[index]
        let s = sample.group.request.sampling
        let sampling = fv_sampling(temperature: s.temperature, top_k: Int32(s.topK), top_p: s.topP, min_p: s.minP)
        let u = sample.key.uniform(token: sample.tokens.count)
        (results + index).initialize(
          to: fv_sample(rows + index * v, Int64(v), sampling, u, scratch + thread * 3 * v))
      }
    }
    for (sample, result) in zip(samples, results) {
      sample.append(result, bytes: bytesOfToken(result.token), maxPositions: decoder.config.maxPositions)
    }
    tokensSampled += UInt64(samples.count)
  }

  // MARK: Blocks

  private func takeBlock() -> Int32 {
    guard let block = cache.take() else { preconditionFailure("the cache ran out of blocks that were reserved") }
    return block
  }

  private func takeReserved(for sample: ActiveSample) -> Int32 {
    sample.reservedBlocks -= 1
    reservedBlocks -= 1
    return takeBlock()
  }

  private func finish(_ sample: ActiveSample) {
    reservedBlocks -= sample.reservedBlocks
    sample.reservedBlocks = 0
    for block in sample.blocks { cache.release(block) }
    sample.blocks = []
  }

  private func releasePrompt(of group: PromptGroup) {
    for block in group.promptBlocks { cache.release(block) }
    group.promptBlocks = []
  }
}
