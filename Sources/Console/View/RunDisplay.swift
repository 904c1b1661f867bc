import Runs
import Synchronization
import Wire

/// The live view of a run: frames on a terminal, one line a step elsewhere.
///
/// Any thread may call it. It draws at most four frames a second; between them it keeps the newest progress. Notes are
/// printed once and stay above the frames.
public final class RunDisplay: Sendable {
  private struct State {
    var progress: RunProgress?
    /// The status of a farm; nil in a supervised stage.
    var status: FarmStatus?
    var history = MetricsHistory()
    var plain: PlainLog
    var frames: FrameWriter
    var notes: [StyledLine] = []
    var isDirty = false
    var lastFrame: UInt64 = 0
  }

  private static let millisecondsPerFrame: UInt64 = 250
  private let output: TerminalOutput
  private let state: Mutex<State>

  public init(output: TerminalOutput, stepCount: UInt32) {
    self.output = output
    state = Mutex(State(plain: PlainLog(stepCount: stepCount), frames: FrameWriter(colour: output.colour)))
  }

  /// Takes the newest progress.
  public func show(_ progress: RunProgress) {
    state.withLock {
      $0.progress = progress
      $0.isDirty = true
    }
  }

  /// Takes a farm's newest status, its progress with it.
  public func show(_ status: FarmStatus) {
    state.withLock {
      $0.progress = status.progress
      $0.status = status
      $0.isDirty = true
    }
  }

  /// Takes a row of metrics; without a terminal it is printed.
  public func add(_ row: MetricsRow) {
    state.withLock {
      $0.history.append(row)
      $0.isDirty = true
      let line = $0.plain.line(row)
      if !output.isTerminal { output.write(line + "\n") }
    }
  }

  /// Takes the rows of a resumed run, without printing them.
  public func recall(_ rows: [MetricsRow]) {
    state.withLock {
      for row in rows {
        $0.history.append(row)
        _ = $0.plain.line(row)
      }
    }
  }

  /// Prints a line once.
  public func note(_ text: String, _ style: StyledLine.Style = .plain) {
    state.withLock {
      let line = StyledLine(text, style)
      if output.isTerminal {
        $0.notes.append(line)
        $0.isDirty = true
      } else {
        output.write(line.text + "\n")
      }
    }
  }

  /// Draws what is new, unless the last frame is younger than a quarter of a second. Call it about as often.
  public func draw(now milliseconds: UInt64, force: Bool = false) {
    guard output.isTerminal else { return }
    state.withLock { state in
      let isDue = milliseconds >= state.lastFrame + Self.millisecondsPerFrame
      guard force || (state.isDirty && isDue) else { return }
      state.isDirty = false
      state.lastFrame = milliseconds
      let size = output.size
      let lines = Self.frame(state, width: size.columns - 1)
      let notes = state.notes
      state.notes = []
      output.write(state.frames.text(notes: notes, frame: lines, width: size.columns, height: size.rows))
    }
  }

  private static func frame(_ state: State, width: Int) -> [StyledLine] {
    if let status = state.status { return FarmView(width: width).lines(status, state.history) }
    return state.progress.map { RunView(width: width).lines($0, state.history) } ?? []
  }

  /// The curves so far.
  public var history: MetricsHistory { state.withLock { $0.history } }
  /// How far the run is.
  public var progress: RunProgress? { state.withLock { $0.progress } }
  /// A farm's newest status.
  public var status: FarmStatus? { state.withLock { $0.status } }
}
