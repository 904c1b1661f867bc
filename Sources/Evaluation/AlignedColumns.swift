/// A table as lines of text: two spaces between columns, each as wide as its widest cell, nothing at the end of a line.
package struct AlignedColumns {
  package var columns: [(head: String, cells: [String])]

  package init(columns: [(head: String, cells: [String])]) { self.columns = columns }

  package var lines: [String] {
    let rowCount = columns.map(\.cells.count).max() ?? 0
    return (-1..<rowCount).map { row in
      columns.map { column in
        let width = ([column.head] + column.cells).map(\.count).max() ?? 0
        let text = row < 0 ? column.head : column.cells[row]
        return text + String(repeating: " ", count: width - text.count)
      }.joined(separator: "  ").replacing(#/ +$/#, with: "")
    }
  }
}
