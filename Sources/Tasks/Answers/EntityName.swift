import Foundation

/// The name of a disease or other entity, normalised for comparison: case, accents, punctuation, articles, the
/// possessive s and abbreviations make no difference.
struct EntityName {
  /// The words that remain, in order.
  let words: [String]

  init(_ text: String) {
    let folded = text.folding(options: [.caseInsensitive, .diacriticInsensitive, .widthInsensitive], locale: nil)
      .replacingOccurrences(of: "\u{2019}", with: "'").replacingOccurrences(of: "'s", with: "")
      .replacingOccurrences(of: "'", with: "")
    words = folded.split { !$0.isLetter && !$0.isNumber }.flatMap { word -> [String] in
      let word = String(word)
      if Self.articles.contains(word) { return [] }
      return Self.abbreviations[word]?.split(separator: " ").map(String.init) ?? [word]
    }
  }

  /// A name with an abbreviation in brackets is also the name without it: "macular hole (MH)".
  static func readings(of text: String) -> [EntityName] {
    var outside = ""
    var depth = 0
    for character in text {
      if character == "(" { depth += 1 }
      if depth == 0 { outside.append(character) }
      if character == ")" { depth = max(0, depth - 1) }
    }
    return outside == text ? [EntityName(text)] : [EntityName(text), EntityName(outside)]
  }

  /// Equality that ignores where words are divided: "non-proliferative" is "nonproliferative".
  func isSame(as other: EntityName) -> Bool { !words.isEmpty && words.joined() == other.words.joined() }

  /// Token F1: the harmonic mean of the shares of common words in each name, 0 ... 1.
  func overlap(with other: EntityName) -> Double {
    var counts: [String: Int] = [:]
    for word in other.words { counts[word, default: 0] += 1 }
    var common = 0
    for word in words where counts[word, default: 0] > 0 {
      counts[word]! -= 1
      common += 1
    }
    return common == 0 ? 0 : 2 * Double(common) / Double(words.count + other.words.count)
  }

  private static let articles: Set<String> = ["a", "an", "the"]

  /// The usual abbreviations of ophthalmology.
  static let abbreviations: [String: String] = [
    "amd": "age related macular degeneration", "armd": "age related macular degeneration",
    "aion": "anterior ischemic optic neuropathy", "brao": "branch retinal artery occlusion",
    "brvo": "branch retinal vein occlusion", "cme": "cystoid macular edema", "cnv": "choroidal neovascularization",
    "crao": "central retinal artery occlusion", "crvo": "central retinal vein occlusion",
    "csc": "central serous chorioretinopathy", "cscr": "central serous chorioretinopathy",
    "csr": "central serous chorioretinopathy", "dme": "diabetic macular edema", "dr": "diabetic retinopathy",
    "erm": "epiretinal membrane", "fevr": "familial exudative vitreoretinopathy",
    "naion": "nonarteritic anterior ischemic optic neuropathy", "npdr": "nonproliferative diabetic retinopathy",
    "pacg": "primary angle closure glaucoma", "pcv": "polypoidal choroidal vasculopathy",
    "pdr": "proliferative diabetic retinopathy", "ped": "pigment epithelial detachment", "pm": "pathologic myopia",
    "poag": "primary open angle glaucoma", "pvd": "posterior vitreous detachment", "rd": "retinal detachment",
    "mh": "macular hole", "rop": "retinopathy of prematurity", "rp": "retinitis pigmentosa",
    "rvo": "retinal vein occlusion", "vh": "vitreous hemorrhage", "vkh": "vogt koyanagi harada",
    "oedema": "edema", "haemorrhage": "hemorrhage", "ischaemic": "ischemic",
    "neovascularisation": "neovascularization",
  ]
}
