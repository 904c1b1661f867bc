import CKernels
import Layers
import Tensor
import Testing

/// Products, the packing of their operands, and attention against their portable twins; see `KernelFuzzTests`.
@Suite struct KernelFuzzProductTests {
  /// The twin computes the product in one piece, the others in pieces: neither matters to the bits.
  @Test("Products have the bits of their twin and stay within their memory") func products() {
    fuzz("matmul_block", cases: 150) { inputs in
      let precision = inputs.precision()
      let isLong = inputs.below(20) == 0  // longer than one pass
      let (m, n) = (inputs.size(isLong ? 8 : 130), inputs.size(isLong ? 70 : 130))
      let units = isLong ? 700 + inputs.size(1000) : inputs.size()
      let isRowMajor = inputs.flag()
      let a = inputs.units(precision, (isRowMajor ? m : (m + 63) / 64 * 64) * units)
      let panelCount = (n + 63) / 64
      let panels = inputs.units(precision, panelCount * units * 64)
      let bias = inputs.flag() ? inputs.floats(n) : nil
      let row = n + inputs.below(4)
      let y = inputs.floats(m * row)
      let accumulates: Int32 = inputs.flag() ? 1 : 0
      let cut = inputs.below(m + 1)
      return { run in
        a.withUnsafeBufferPointer { a in
          panels.withUnsafeBufferPointer { panels in
            var product = fv_matmul(
              rows: Int64(m), columns: Int64(n), units: Int64(units), a: a.baseAddress, a_panel: Int64(64 * units),
              a_row: isRowMajor ? Int64(units) : 1, a_unit: isRowMajor ? 1 : 64, panels: panels.baseAddress,
              y: run.floats(y), y_row: Int64(row), bias: nil, accumulate: accumulates)
            func multiply() {
              if run.isTwin {
                fv_matmul_block(precision.kind, &product, 0, Int64(m), 0, Int64(panelCount))
              } else {
                for rows in [0..<cut, cut..<m] {
                  for panel in (0..<panelCount).reversed() {
                    fv_matmul_block(
                      precision.kind, &product, Int64(rows.lowerBound), Int64(rows.upperBound), Int64(panel),
                      Int64(panel + 1))
                  }
                }
              }
            }
            guard let bias else { return multiply() }
            bias.withUnsafeBufferPointer {
              product.bias = $0.baseAddress
              multiply()
            }
          }
        }
      }
    }
  }

  @Test("Packed columns have the bits of their twin and stay within their memory") func packingOfColumns() {
    fuzz("pack_columns, unpack", cases: 150) { inputs in
      let precision = inputs.precision()
      let depth = precision == .bfloat16 ? inputs.evenSize() : inputs.size()
      let rows = inputs.size()
      let begin = inputs.below(rows)
      let column = inputs.size()
      let (w, halves) = (inputs.floats(rows * depth), inputs.elements(.bfloat16, rows * depth))
      let units = precision.wordCount(depth)
      let panelUnits = (column + rows - begin + 63) / 64 * units * 64
      return { run in
        let packed = run.units(panelUnits)
        fv_pack_columns_from_f32(
          precision.kind, w, Int64(depth), Int64(begin), Int64(rows), Int64(column), Int64(units), packed)
        halves.withUnsafeBytes {
          fv_pack_columns_from_bf16(
            precision.kind, $0.bindMemory(to: UInt16.self).baseAddress, Int64(depth), Int64(begin), Int64(rows),
            Int64(column), Int64(units), run.units(panelUnits))
        }
        fv_unpack_rows(
          packed, Int64(units), Int64(column), Int64(column + rows - begin), run.units((rows - begin) * units))
        fv_unpack_column(precision.kind, packed, Int64(units), Int64(column), Int64(depth), run.floats(depth))
      }
    }
  }

  @Test("Packed rows have the bits of their twin and stay within their memory") func packingOfRows() {
    fuzz("pack_depth_rows", cases: 150) { inputs in
      let precision = inputs.precision()
      let (depth, columns) = (inputs.size(), inputs.size())
      let row = columns + inputs.below(4)
      let first = inputs.below(5)
      let units = first + precision.wordCount(depth) + inputs.below(3)
      let panels = (columns + 63) / 64
      let panel = inputs.below(panels)
      let (x, elements) = (inputs.floats(depth * row), inputs.elements(precision, depth * row))
      return { run in
        fv_pack_depth_rows_from_f32(
          precision.kind, x, Int64(row), Int64(depth), Int64(columns), Int64(first), Int64(units), Int64(panel),
          Int64(panels), run.units(panels * units * 64))
        fv_pack_depth_rows(
          precision.kind, elements, Int64(row), Int64(depth), Int64(columns), Int64(first), Int64(units), Int64(panel),
          Int64(panels), run.units(panels * units * 64))
      }
    }
  }

  /// Two sequences that share their first blocks, stored position by position in blocks of any order.
  @Test("Attention and its cache have the bits of their twin and stay within their memory") func attentionAndItsCache()
  {
    fuzz("attention, cache_store", cases: 120) { inputs in
      let precision = inputs.precision()
      let (size, kvHeads, group) = (inputs.evenSize(), inputs.size(3), inputs.size(6))
      let (length, shared) = (inputs.size(), inputs.below(5))
      let blocks = (length + 15) / 16
      var order = Array(0..<Int32(2 * blocks))
      for i in order.indices { order.swapAt(i, inputs.below(order.count)) }
      let first = Array(order[..<blocks])
      let tables = [first, Array(first.prefix(shared)) + order[blocks...].prefix(max(0, blocks - shared))]
      let width = kvHeads * size
      let stored = (0..<2).map { _ in inputs.elements(precision, length * 2 * width) }
      let query = inputs.elements(precision, kvHeads * group * size)
      let scale = inputs.plain()
      let wantsStatistics = inputs.flag()
      let keyUnits = Int(fv_cache_key_units(precision.kind, Int64(size))) * kvHeads
      let valueUnits = Int(fv_cache_value_units(precision.kind, Int64(size))) * kvHeads
      return { run in
        let cache = run.units((keyUnits + valueUnits) * order.count, zeroed: true)
        var layer = fv_cache_layer(
          head_size: Int64(size), key_value_heads: Int64(kvHeads), heads_per_key_value: Int64(group), scale: scale,
          keys: cache, values: cache + keyUnits, block_stride: Int64(keyUnits + valueUnits))
        for (table, bytes) in zip(tables, stored) {
          bytes.withUnsafeBytes { bytes in
            for position in 0..<length {
              let key = bytes.baseAddress! + position * 2 * width * precision.elementByteCount
              fv_cache_store(
                precision.kind, &layer, key, key + width * precision.elementByteCount, table[position / 16],
                Int32(position % 16))
            }
          }
        }
        let scratch = run.scratch(Int(fv_attention_scratch(Int64(group), Int64(length))))
        for table in tables {
          let out = run.elements(precision, kvHeads * group * size)
          let statistics = wantsStatistics ? run.floats(2 * kvHeads * group) : nil
          for head in 0..<kvHeads {
            fv_attention(
              precision.kind, &layer, Int64(head), query, table, Int64(length), scratch, out, statistics)
          }
        }
      }
    }
  }

  @Test("The backward pass of attention has the bits of its twin and stays within its memory") func attentionBackward()
  {
    fuzz("attention_backward", cases: 80) { inputs in
      let precision = inputs.precision()
      let (size, kvHeads, group) = (inputs.size(), inputs.size(2), inputs.size(6))
      let (prefix, count) = (inputs.below(40), inputs.size(60))
      let heads = kvHeads * group
      let row = (heads + 2 * kvHeads) * size + inputs.below(3)
      let (prefixRows, ownRows) = (inputs.elements(precision, prefix * row), inputs.elements(precision, count * row))
      let out = inputs.elements(precision, count * heads * size)
      let (dout, statistics) = (inputs.floats(count * heads * size), inputs.floats(count * heads * 2))
      let (dprefix, down) = (inputs.floats(prefix * row), inputs.floats(count * row))
      let bidirectional: Int32 = inputs.flag() ? 1 : 0
      let scale = inputs.plain()
      let capacity = Int64(prefix + count + inputs.below(20))
      let scratchCount = Int(fv_attention_backward_scratch(Int64(size), capacity))
      return { run in
        prefixRows.withUnsafeBytes { prefixRows in
          ownRows.withUnsafeBytes { ownRows in
            out.withUnsafeBytes { out in
              dout.withUnsafeBufferPointer { dout in
                statistics.withUnsafeBufferPointer { statistics in
                  var sequence = fv_attention_sequence(
                    head_size: Int64(size), heads: Int64(heads), key_value_heads: Int64(kvHeads), scale: scale,
                    row: Int64(row), prefix: prefixRows.baseAddress, own: ownRows.baseAddress,
                    prefix_count: Int64(prefix), count: Int64(count), bidirectional: bidirectional,
                    prefix_is_loaded: 0, key_capacity: capacity, out: out.baseAddress, dout: dout.baseAddress,
                    stats: statistics.baseAddress,
                    dprefix: run.floats(dprefix), down: run.floats(down))
                  for head in 0..<kvHeads {
                    let scratch = run.scratch(scratchCount)
                    for isLoaded: Int32 in [0, 1] {
                      sequence.prefix_is_loaded = isLoaded
                      fv_attention_backward(precision.kind, &sequence, Int64(head), scratch)
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
