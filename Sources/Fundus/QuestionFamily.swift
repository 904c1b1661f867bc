import Prompts

/// Whether the image alone answers a question, or only the image together with the vignette in its text.
public enum QuestionDomain: String, CaseIterable, Sendable {
  case basic
  case complex
}

/// What a question is about. Every family has one question type and belongs to one domain.
public enum QuestionFamily: String, CaseIterable, Sendable {
  // Basic: the image alone answers.
  /// Whether there are lesions of a kind.
  case presence
  /// Whether the cup is glaucomatous.
  case largeCup = "large_cup"
  /// Which eye it is, recognized by the side of the disc.
  case rightEye = "right_eye"
  /// The one kind of four that is there.
  case whichLesion = "which_lesion"
  /// The grade of diabetic retinopathy.
  case grade
  /// How many lesions of a kind there are.
  case count
  /// All kinds of four that are there.
  case lesions
  /// The disease, or that there is none.
  case condition
  /// The only kind that is there.
  case lesionName = "lesion_name"

  // Complex: image and vignette together.
  /// Whether the history is of the disease that the eye has.
  case fit
  /// Whether the grade of retinopathy is that of the last visit.
  case unchanged
  /// Whether the lesions explain the patch that is missing from the field of vision.
  case field
  /// Which of three histories belongs to the eye.
  case whose
  /// Which of two kinds of lesions explains the missing patch.
  case cause
  /// What came or went since the last visit.
  case changed
  /// Which two of four histories fit an eye with two diseases.
  case histories
  /// The diagnosis that eye pressure and cup make together.
  case pressure
  /// The name of the patient whose history belongs to the eye.
  case patient

  public var type: QuestionType {
    switch self {
    case .presence, .largeCup, .rightEye, .fit, .unchanged, .field: .trueFalse
    case .whichLesion, .grade, .count, .whose, .cause: .singleChoice
    case .lesions, .changed, .histories: .multipleChoice
    case .condition, .lesionName, .pressure, .patient: .openEnded
    }
  }

  public var domain: QuestionDomain {
    switch self {
    case .presence, .largeCup, .rightEye, .whichLesion, .grade, .count, .lesions, .condition, .lesionName: .basic
    case .fit, .unchanged, .field, .whose, .cause, .changed, .histories, .pressure, .patient: .complex
    }
  }
}
