import CKernels
import Prompts
import Support
import Tensor

/// A request on its way: its prompt's blocks and last logits are kept until all of its samples have started.
final class PromptGroup {
  let request: GenerationRequest
  var isPrefilled = false
  /// What is added to the position of a token behind the prompt to find its rotary position.
  var rotaryOffset = 0
  var promptBlocks: [Int32] = []
  /// Logits after the prompt, `[V]`: every sample draws its first token from them.
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
  /// Position of the token that the next decode step feeds: the last one drawn.
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

  /// Takes a drawn token; afterwards `completion` is there when the sample has ended.
  func append(_ draw: fv_draw, bytes: [UInt8], maxPositions: Int) {
    let request = group.request
    tokens.append(draw.token)
    logProbabilities.append(draw.log_probability)
    logTruncatedMasses.append(draw.log_kept_mass)
    entropies.append(draw.entropy)
    var finish: FinishReason?
    if request.stopTokens.contains(draw.token) || hitsStopString(bytes) {
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
