/// How an image was taken.
public enum Modality: String, Sendable, CaseIterable {
  /// Colour fundus photography.
  case cfp = "CFP"
  /// Fundus fluorescein angiography.
  case ffa = "FFA"
  /// Optical coherence tomography.
  case oct = "OCT"
  /// A case of PubMed Central, of whatever kinds of images.
  case complex
  case unknown
}

/// Whether the row's data set is one that the authors train on.
public enum Domain: String, Sendable, CaseIterable {
  case inDomain = "in_domain"
  case outOfDomain = "out_of_domain"
  case unknown
}

/// Where a row of MM-Retinal-Reason belongs: modality and domain.
///
/// A row need not say it. Then it follows from the data sets that the authors list: an image of IDRiD is a colour
/// fundus photograph from outside the training domain. Names are looked for in the file's name and in the folders and
/// first word of an image's path. Source: the composition table of MM-Retinal-Reason.
struct Subset: Hashable, Sendable {
  var modality = Modality.unknown
  var domain = Domain.unknown

  /// What the name of a file or of a data set says; unknown where it says nothing.
  init(name: String) {
    for word in Self.words(name) {
      if modality == .unknown { modality = Self.modalities[word] ?? .unknown }
      if domain == .unknown, let known = Self.dataSets[word] { (modality, domain) = known }
    }
    let joined = Self.words(name).joined(separator: " ")
    if domain == .unknown {
      domain =
        joined.contains("in domain") || joined.contains("indomain")
        ? .inDomain : joined.contains("out of domain") || joined.contains("outofdomain") ? .outOfDomain : .unknown
    }
  }

  init(modality: Modality = .unknown, domain: Domain = .unknown) {
    self.modality = modality
    self.domain = domain
  }

  /// This, with what `other` knows where this does not.
  func completed(by other: Subset) -> Subset {
    Subset(
      modality: modality == .unknown ? other.modality : modality, domain: domain == .unknown ? other.domain : domain)
  }

  /// What an image's path says: its folders, from the innermost, then the first word of its name.
  init(imagePath path: String) {
    var parts = path.split(separator: "/").map(String.init)
    let name = parts.popLast() ?? ""
    self.init()
    for part in parts.reversed() {
      // A folder counts as a whole, too: "Retinal OCT-C8" is one data set.
      self = completed(by: Self.dataSet(part)).completed(by: Subset(name: part))
    }
    self = completed(by: Self.dataSet(String(name.prefix { $0 != "_" && $0 != "-" && $0 != "." })))
  }

  private static func dataSet(_ name: String) -> Subset {
    dataSets[words(name).joined()].map { Subset(modality: $0.0, domain: $0.1) } ?? Subset()
  }

  private static func words(_ name: String) -> [String] {
    name.lowercased().split { !($0.isLetter || $0.isNumber) }.map(String.init)
  }

  private static let modalities: [String: Modality] = [
    "cfp": .cfp, "ffa": .ffa, "oct": .oct, "complex": .complex,
  ]

  private static let dataSets: [String: (Modality, Domain)] = {
    let table: [(Modality, Domain, String)] = [
      (
        .cfp, .inDomain,
        "papila paraguay aria aptos hrf deepdrid g1020 amd palm origa drishtigs1 chaksu cataract fundoct"
      ),
      (
        .cfp, .outOfDomain,
        "messidor idrid rfmid stare roc retina sustechsysu jichi eyepacs lag fives eophta refuge dr12 scardat acrima "
          + "oiaddr"
      ),
      (.ffa, .inDomain, "angiographic"), (.ffa, .outOfDomain, "mpos"),
      (
        .oct, .inDomain,
        "goals gamma1 stage1 stage2 oimhs octa500 largedatasetoflabeledoct dukedme glaucomadetection retinaloctc8"
      ),
      (.oct, .outOfDomain, "octdl octid"),
    ]
    return Dictionary(
      table.flatMap { modality, domain, names in
        names.split(separator: " ").map { (String($0), (modality, domain)) }
      }
    ) { first, _ in first }
  }()
}
