import Architecture
import Layers
import Model

/// Groups laid out as rows for one forward and backward pass: for each group its prompt's rows, then each completion's.
///
/// A completion of T tokens has T - 1 rows (its last token predicts nothing that is trained) and T targets: the first
/// one is predicted by the prompt's last row. All completions attend to the prompt's blocks; a partly filled last block
/// is written to each completion's first own block too, exactly as the engine copies it.
package struct PackedGroups {
  /// A run of rows that attends causally to itself, after the prompt's rows if it is a completion.
  package struct Run {
    package var first: Int
    package var count: Int
  }
  package struct Rows {
    package var prompt: Run
    package var completions: [Run]
    /// The most keys that a row attends to.
    package var keyCount: Int { prompt.count + (completions.map(\.count).max() ?? 0) }
  }

  package private(set) var rows = RowBatch()
  package private(set) var groups: [Rows] = []
  /// The token that each output predicts, `[R]`, in the order group, completion, position.
  package private(set) var targets: [Int32] = []
  package private(set) var blockCount = 0
  private var lengths: [[Int]] = []

  package init(_ groups: [TrainingGroup], config: ModelConfig) {
    for group in groups { add(group, config) }
  }

  private mutating func add(_ group: TrainingGroup, _ config: ModelConfig) {
    let size = KeyValueCache.blockPositions
    let promptCount = group.promptTokens.count
    precondition(promptCount > 0, "a prompt needs a token")
    let promptBlocks = takeBlocks(KeyValueCache.blocks(for: promptCount))
    let promptTable = rows.addTable(promptBlocks)
    let promptRun = Run(first: rows.count, count: promptCount)
    let (_, rotaryOffset) = rows.addPrompt(
      group.promptTokens, images: group.images, config: config, table: promptTable)
    let shared = promptCount / size
    var runs: [Run] = []
    for completion in group.completions {
      precondition(!completion.isEmpty, "a completion needs a token")
      let length = promptCount + completion.count - 1
      let own = takeBlocks(KeyValueCache.blocks(for: length) - shared)
      let table = rows.addTable(Array(promptBlocks[..<shared]) + own)
      if completion.count > 1 {
        for position in shared * size..<promptCount {
          rows.addWrite(row: Int32(promptRun.first + position), block: own[0], position: position)
        }
      }
      let run = Run(first: rows.count, count: completion.count - 1)
      rows.outputs.append(Int32(promptRun.first + promptCount - 1))
      for (index, token) in completion.dropLast().enumerated() {
        let position = promptCount + index
        rows.outputs.append(
          rows.addRow(token: token, position: position, rotary: RotaryPosition(position + rotaryOffset), table: table))
      }
      targets.append(contentsOf: completion)
      runs.append(run)
    }
    self.groups.append(Rows(prompt: promptRun, completions: runs))
    lengths.append(group.completions.map(\.count))
  }

  private mutating func takeBlocks(_ count: Int) -> [Int32] {
    defer { blockCount += count }
    return (blockCount..<blockCount + count).map(Int32.init)
  }

  /// Scores of the targets, `[R]`, as `[group][completion]`.
  package func unflatten(_ scores: VocabularyLoss.Scores) -> [[SequenceScores]] {
    var next = 0
    return lengths.map { group in
      group.map { count in
        defer { next += count }
        return SequenceScores(
          logProbabilities: Array(scores.logProbabilities[next..<next + count]),
          entropies: Array(scores.entropies[next..<next + count]))
      }
    }
  }
}
