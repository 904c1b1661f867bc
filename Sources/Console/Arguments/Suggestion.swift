/// The candidate that a misspelt word most probably means, or nil when none is near.
///
/// Nearness is the number of letters put in, left out, replaced, or swapped with their neighbour, at most a third of the
/// word's length; a candidate that the word begins is near as well.
public func nearest(to word: String, among candidates: [String]) -> String? {
  if word.isEmpty { return nil }
  let ranked = candidates.map { (editDistance(word, $0), $0) }.sorted { $0 < $1 }
  if let (distance, best) = ranked.first, distance <= max(1, word.count / 3) { return best }
  let continued = candidates.filter { $0.hasPrefix(word) && word.count >= 2 }
  return continued.count == 1 ? continued[0] : nil
}

/// Optimal string alignment distance: insertions, deletions, replacements, and swaps of neighbours.
func editDistance(_ a: String, _ b: String) -> Int {
  let a = Array(a.unicodeScalars.prefix(64))
  let b = Array(b.unicodeScalars.prefix(64))
  var beforeLast: [Int] = []
  var last = Array(0...b.count)
  for i in 0..<a.count {
    var row = [i + 1]
    for j in 0..<b.count {
      var best = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, beforeLast[j - 1] + 1) }
      row.append(best)
    }
    beforeLast = last
    last = row
  }
  return last[b.count]
}
