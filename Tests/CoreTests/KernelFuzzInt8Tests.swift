import CKernels
import Layers
import Support
import Testing

/// The int8 product and its quantization against their portable twins; see `KernelFuzzTests`.
@Suite struct KernelFuzzInt8Tests {
  /// The twin computes the product in one piece, the others in pieces.
  @Test("8-bit products have the bits of their twin and stay within their memory") func products() {
    fuzz("int8_matmul_block", cases: 150) { inputs in
      let (m, n, units) = (inputs.size(), inputs.size(), 4 * inputs.size(40))
      let panelCount = (n + 63) / 64
      func bits(_ count: Int) -> [UInt32] { (0..<count).map { _ in UInt32(truncatingIfNeeded: inputs.random.next()) } }
      let a = bits(m * units)
      let panels = bits(panelCount * 64 * units)
      let offsets = bits(panelCount * 64).map { Int32(bitPattern: $0) >> 8 }
      let (rowScales, scales, bias) = (inputs.floats(m), inputs.floats(panelCount * 64), inputs.floats(n))
      let isBiased = inputs.flag()
      let row = n + inputs.below(4)
      let y = inputs.floats(m * row)
      let cut = inputs.below(m + 1)
      return { run in
        a.withUnsafeBufferPointer { a in
          panels.withUnsafeBufferPointer { panels in
            rowScales.withUnsafeBufferPointer { rowScales in
              scales.withUnsafeBufferPointer { scales in
                offsets.withUnsafeBufferPointer { offsets in
                  bias.withUnsafeBufferPointer { bias in
                    var product = fv_int8_matmul(
                      rows: Int64(m), columns: Int64(n), units: Int64(units), a: a.baseAddress,
                      a_scales: rowScales.baseAddress, panels: panels.baseAddress, scales: scales.baseAddress,
                      offsets: offsets.baseAddress, y: run.floats(y), y_row: Int64(row),
                      bias: isBiased ? bias.baseAddress : nil)
                    for rows in run.isTwin ? [0..<m] : [cut..<m, 0..<cut] {
                      for panel in run.isTwin ? [0..<panelCount] : (0..<panelCount).reversed().map({ $0..<$0 + 1 }) {
                        fv_int8_matmul_block(
                          &product, Int64(rows.lowerBound), Int64(rows.upperBound), Int64(panel.lowerBound),
                          Int64(panel.upperBound))
                      }
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
  }

  @Test("Quantized rows have the bits of their twin and stay within their memory") func rows() {
    fuzz("int8_quantize_row", cases: 300) { inputs in
      let precision = inputs.precision()
      let depth = inputs.size(600)
      let units = (depth + 15) / 16 * 4
      let x = inputs.elements(precision, depth)
      return { run in
        fv_int8_quantize_row(
          precision.kind, x, Int64(depth), Int64(units), run.scratch(4 * units), run.units(units), run.floats([0]))
      }
    }
  }

  @Test("Quantized columns have the bits of their twin and stay within their memory") func columns() {
    fuzz("int8_pack_columns", cases: 100) { inputs in
      let precision = inputs.precision()
      let (rows, depth, begin) = (inputs.size(), inputs.size(), inputs.below(70))
      let units = (depth + 15) / 16 * 4
      let w = inputs.elements(precision, rows * depth)
      let columns = (begin + rows + 63) / 64 * 64
      return { run in
        fv_int8_pack_columns(
          precision.kind, w, Int64(depth), Int64(rows), Int64(begin), Int64(units), run.scratch(4 * units),
          run.units(columns * units, zeroed: true), run.floats([Float](repeating: 0, count: columns)),
          UnsafeMutableRawPointer(run.units(columns, zeroed: true)).assumingMemoryBound(to: Int32.self))
      }
    }
  }
}
