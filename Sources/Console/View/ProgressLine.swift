/// One line on a terminal that is overwritten as work progresses; nothing where there is no terminal.
public struct ProgressLine: Sendable {
  private let output: TerminalOutput
  private let isShown: Bool

  /// - Parameter isQuiet: shows nothing on a terminal either, for example when the result is JSON.
  public init(_ output: TerminalOutput = TerminalOutput(), isQuiet: Bool = false) {
    self.output = output
    isShown = output.isTerminal && !isQuiet
  }

  /// Shows a text in place of the last one.
  public func show(_ text: String) { if isShown { output.write("\r\(text)\u{1B}[K") } }

  /// Clears the line, before something else is written.
  public func clear() { if isShown { output.write("\r\u{1B}[K") } }
}
