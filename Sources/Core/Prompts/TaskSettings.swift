/// What the policy is asked, and how its answers are scored.
public struct TaskSettings: Equatable, Sendable {
  /// arithmetic | gsm8k | multiple_choice | open_ended | mm_retinal_reason | retinamnist | synthetic-fundus
  public var name = "arithmetic"
  /// Whether the task makes its own questions, and needs no file.
  public var isBuiltIn: Bool { ["arithmetic", "synthetic-fundus"].contains(name) }
  /// JSONL files; a JSON array for mm_retinal_reason, an npz file for retinamnist; unused by the built-in tasks. Without a held-out file, a share of the training file is held out by hash.
  public var trainFile = ""
  public var heldOutFile = ""
  public var heldOutShare = 0.1
  /// nil takes the task's own.
  public var systemPrompt: String?
  /// The user's turn; "{question}" stands for the question. nil takes the task's own.
  public var questionTemplate: String?
  /// Worked examples put in front of each question, as earlier turns of the chat.
  public var examples = 2
  public var accuracyWeight: Float = 1
  public var formatWeight: Float = 0.1
  /// multiple_choice: share of right letters counts. open_ended: token F1 counts.
  public var partialCredit = false
  public var fuzzy = false
  /// arithmetic: terms, the largest operand, and the operations drawn from.
  public var terms = 2
  public var largestOperand = 20
  public var operations = "+-"
  /// mm_retinal_reason, retinamnist and synthetic-fundus: what is asked, by modality, domain and question type; an empty list
  /// asks all.
  public var modalities: [String] = []
  public var domains: [String] = []
  public var questionTypes: [String] = []
  /// mm_retinal_reason: bad rows are counted and left out instead of refusing the file.
  public var skipBadRows = false
  /// Of the demonstrations: those that show their reasoning. The others only answer.
  public var reasonedShare = 1.0
  /// synthetic-fundus: width and height of the images in pixels.
  public var imageSize = 64
  public init() {}
}
