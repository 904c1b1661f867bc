/// Turns frames into what is written to a terminal: each frame replaces the one before, in one write, without the
/// alternate screen, so that the last frame stays in the scrollback.
///
/// Invariant: the cursor stands at the start of the line below the frame.
public struct FrameWriter: Sendable {
  public var colour: Bool
  /// Columns of each line on the screen now.
  private var drawn: [Int] = []

  public init(colour: Bool) { self.colour = colour }

  /// The bytes that show `notes` above, once, and `frame` below them in place of the last frame.
  public mutating func text(notes: [StyledLine] = [], frame: [StyledLine], width: Int, height: Int) -> String {
    // One column stays free, so that no terminal wraps; one row, so that none scrolls the frame's top away.
    let width = max(1, width - 1)
    let frame = frame.prefix(max(1, height - 1))
    var result = erase(width: width + 1)
    for note in notes { result += note.rendered(colour: colour) + "\u{1B}[K\n" }
    for line in frame { result += line.rendered(width: width, colour: colour) + "\u{1B}[K\n" }
    result += "\u{1B}[J"
    drawn = frame.map { min($0.columns, width) }
    return result
  }

  /// Moves the cursor to the frame's start. A terminal that became narrower has wrapped the old lines.
  private func erase(width: Int) -> String {
    let rows = drawn.reduce(0) { $0 + max(1, ($1 + width - 1) / width) }
    return rows == 0 ? "" : "\u{1B}[\(rows)A\r"
  }
}
