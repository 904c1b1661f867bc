/// A pre-tokenizer made ready to run: its patterns are compiled.
package struct TextSplitter: Sendable {
  private enum Step: Sendable {
    case digits(individual: Bool)
    case split(SplitPattern, matches: Bool, gaps: Bool)
  }

  private let steps: [Step]
  /// The index of the step before which a space is put in front; nil when none is.
  private let prefixSpaceStep: Int?

  /// - Throws: `InputError` for a pattern that does not compile.
  package init(_ definition: PreTokenizer, place: String) throws {
    var steps: [Step] = []
    for (index, step) in definition.steps.enumerated() {
      let place = "\(place), split \(index)"
      switch step {
      case .digits(let individual): steps.append(.digits(individual: individual))
      case .split(let pattern):
        steps.append(.split(try SplitPattern(pattern, place: place), matches: true, gaps: true))
      case .keep(let pattern):
        steps.append(.split(try SplitPattern(pattern, place: place), matches: true, gaps: false))
      case .drop(let pattern):
        steps.append(.split(try SplitPattern(pattern, place: place), matches: false, gaps: true))
      }
    }
    prefixSpaceStep = definition.addsPrefixSpace ? steps.count : nil
    if definition.splitsAsGPT2 {
      steps.append(.split(try SplitPattern(PreTokenizer.patternGPT2, place: place), matches: true, gaps: true))
    }
    self.steps = steps
  }

  /// Calls `word` for each word of `text`, which is valid UTF-8 and not empty, in order.
  package func split(
    _ text: UnsafeBufferPointer<UInt8>, matcher: Matcher, word: (UnsafeBufferPointer<UInt8>) -> Void
  ) {
    split(text, step: 0, matcher, word)
  }

  private func split(
    _ text: UnsafeBufferPointer<UInt8>, step: Int, _ matcher: Matcher, _ word: (UnsafeBufferPointer<UInt8>) -> Void
  ) {
    if step == prefixSpaceStep, text.first != UInt8(ascii: " ") {
      return ([UInt8(ascii: " ")] + text).withUnsafeBufferPointer { apply(step, to: $0, matcher, word) }
    }
    apply(step, to: text, matcher, word)
  }

  private func apply(
    _ step: Int, to text: UnsafeBufferPointer<UInt8>, _ matcher: Matcher,
    _ word: (UnsafeBufferPointer<UInt8>) -> Void
  ) {
    guard step < steps.count else { return word(text) }
    let last = step + 1 == steps.count && step + 1 != prefixSpaceStep
    func emit(_ range: Range<Int>) {
      if range.isEmpty { return }
      let piece = UnsafeBufferPointer(rebasing: text[range])
      if last { word(piece) } else { split(piece, step: step + 1, matcher, word) }
    }
    switch steps[step] {
    case .digits(let individual): Self.digits(text, individual: individual, emit)
    case .split(let pattern, let matches, let gaps):
      var done = 0
      while done < text.count, let match = matcher.match(pattern, in: text, from: done) {
        if gaps { emit(done..<match.lowerBound) }
        if matches { emit(match) }
        done = match.upperBound
      }
      if gaps { emit(done..<text.count) }
    }
  }

  private static func digits(
    _ text: UnsafeBufferPointer<UInt8>, individual: Bool, _ emit: (Range<Int>) -> Void
  ) {
    var start = 0
    var position = 0
    var previousIsDigit = false
    while position < text.count {
      let byte = text[position]
      let isDigit: Bool
      let width: Int
      if byte < 0x80 {
        (isDigit, width) = (0x30...0x39 ~= byte, 1)
      } else {
        let scalar = UTF8.scalar(in: text, at: position)
        (isDigit, width) = (isNumeric(scalar), UTF8.width(scalar))
      }
      if isDigit != previousIsDigit || (isDigit && individual) {
        emit(start..<position)
        start = position
      }
      previousIsDigit = isDigit
      position += width
    }
    emit(start..<position)
  }

  /// Decimal digits, letters that are numbers, and other numbers: `\p{N}`.
  private static func isNumeric(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber: true
    default: false
    }
  }
}
