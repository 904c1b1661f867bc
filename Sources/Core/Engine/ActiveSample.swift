import CKernels
import Prompts
import Support
import Tensor

/// A started request: its prompt's blocks and last logits are kept until all of its samples have started.
final class PromptGroup {
  let request: GenerationRequest
  var isPrefilled = false
  /// Added to the position of a token after the prompt to find its rotary position.
  var rotaryOffset = 0
  var promptBlocks: [Int32] = []
  /// Logits after the prompt, `[V]`: the first token of every sample is sampled from them.
  var logits = AlignedBuffer<Float>(count: 0)
  var nextSample = 0
  let stopBytes: [[UInt8]]

  init(request: GenerationRequest) {
    self.request = request
    stopBytes = request.stopStrings.filter { !$0.isEmpty }.map { Array($0.utf8) }
  }

  var samplesToStart: Int { request.sampleCount - nextSample }
}

/// One sample being decoded.
final class ActiveSample {
  let group: PromptGroup
  let index: Int
  let key: SampleKey
  var blocks: [Int32] = []
  /// Blocks promised and not yet taken.
  var reservedBlocks: Int
  /// Position of the token that the next decode step feeds: the last sampled one.
  var position: Int
  private(set) var tokens: [Int32] = []
  private(set) var completion: Completion?
  private var logProbabilities: [Float] = []
  private var logTruncatedMasses: [Float] = []
  private var entropies: [Float] = []
  /// The end of the text so far, as long as a stop string could still begin in it.
  private var tail: [UInt8] = []

  init(group: PromptGroup, index: Int, reservedBlocks: Int) {
    self.group = group
    self.index = index
    self.reservedBlocks = reservedBlocks
    position = group.request.promptTokens.count
    var key = group.request.key
    key.sample = UInt32(index)
    self.key = key
  }

  /// Appends a sampled token; sets `completion` when the sample ends with it.
  func append(_ sampled: fv_draw, bytes: [UInt8], maxPositions: Int) {
    let request = group.request
    tokens.append(sampled.token)
    logProbabilities.append(sampled.log_probability)
    logTruncatedMasses.append(sampled.log_kept_mass)
    entropies.append(sampled.entropy)
    var finish: FinishReason?
    if request.stopTokens.contains(sampled.token) || hitsStopString(bytes) {
      finish = .stop
    } else if tokens.count >= request.sampling.maxNewTokens || request.promptTokens.count + tokens.count >= maxPositions
    {
      finish = .length
    }
    guard let finish else { return }
    completion = Completion(
      request: request.id, sample: index, tokens: tokens, logProbabilities: logProbabilities,
      logTruncatedMasses: logTruncatedMasses, entropies: entropies, finish: finish)
  }

  private func hitsStopString(_ bytes: [UInt8]) -> Bool {
    guard let longest = group.stopBytes.map(\.count).max() else { return false }
    tail.append(contentsOf: bytes)
    defer { tail.removeFirst(max(0, tail.count - (longest - 1))) }
    return group.stopBytes.contains { stop in
      tail.count >= stop.count
        && (0...(tail.count - stop.count)).contains { tail[$0..<($0 + stop.count)].elementsEqual(stop) }
    }
  }
}
