import Imaging
import Prompts
import Support

/// Counts of the rows of a file of MM-Retinal-Reason.
public struct MMRetinalReasonStatistics: Equatable, Sendable {
  /// A cell of the table: rows are counted by all three.
  public struct Cell: Hashable, Sendable, Comparable {
    public var modality: Modality
    public var domain: Domain
    public var type: QuestionType

    public static func < (a: Cell, b: Cell) -> Bool {
      (a.modality.rawValue, a.domain.rawValue, a.type.rawValue) < (
        b.modality.rawValue, b.domain.rawValue, b.type.rawValue
      )
    }
  }

  /// Smallest, largest and mean of a number.
  public struct Spread: Equatable, Sendable {
    public private(set) var count = 0
    public private(set) var smallest = 0
    public private(set) var largest = 0
    private var sum = 0.0
    public var mean: Double { count == 0 ? 0 : sum / Double(count) }

    mutating func add(_ value: Int) {
      smallest = count == 0 ? value : min(smallest, value)
      largest = count == 0 ? value : max(largest, value)
      sum += Double(value)
      count += 1
    }
  }

  public private(set) var rowCount = 0
  public private(set) var badRowCount = 0
  /// The errors of the first bad rows; later ones are only counted.
  public private(set) var errors: [InputError] = []
  public static let errorsKept = 20
  public private(set) var cells: [Cell: Int] = [:]
  /// Rows by their number of images; index 0 is unused.
  public private(set) var imagesPerRow = [Int](repeating: 0, count: PromptImage.countMax + 1)
  public private(set) var formats: [ImageFormat: Int] = [:]
  public private(set) var widths = Spread()
  public private(set) var heights = Spread()
  /// Lengths in characters.
  public private(set) var questions = Spread()
  public private(set) var answers = Spread()
  /// Lengths in characters, of the rows that have a reason.
  public private(set) var reasons = Spread()
  public private(set) var complexCount = 0

  public init() {}

  public mutating func add(_ row: Result<(row: MMRetinalReasonRow, headers: [ImageHeader]), InputError>) {
    rowCount += 1
    switch row {
    case .failure(let error):
      badRowCount += 1
      if errors.count < Self.errorsKept { errors.append(error) }
    case .success((let row, let headers)):
      cells[Cell(modality: row.modality, domain: row.domain, type: row.type), default: 0] += 1
      imagesPerRow[row.images.count] += 1
      questions.add(row.question.count)
      answers.add(row.answer.count)
      if let reason = row.reason { reasons.add(reason.count) }
      if row.pmcid != nil { complexCount += 1 }
      for header in headers {
        formats[header.format, default: 0] += 1
        widths.add(header.width)
        heights.add(header.height)
      }
    }
  }
}
