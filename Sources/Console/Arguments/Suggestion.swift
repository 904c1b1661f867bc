import Support

/// The candidate that a misspelt word most probably means, or nil when none is near.
///
/// Nearness is the number of letters put in, left out, replaced, or swapped with their neighbour, at most a third of
/// the word's length; a candidate that the word begins is near as well.
public func nearest(to word: String, among candidates: [String]) -> String? {
  if word.isEmpty { return nil }
  let ranked = candidates.map { (editDistance(word, $0), $0) }.sorted { $0 < $1 }
  if let (distance, best) = ranked.first, distance <= max(1, word.count / 3) { return best }
  let continued = candidates.filter { $0.hasPrefix(word) && word.count >= 2 }
  return continued.count == 1 ? continued[0] : nil
}
