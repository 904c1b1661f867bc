/// What a scene is painted on: three planes of floats and a plane for the shape that is being painted.
///
/// A shape is a plane of coverage, 0 ... 1: strokes of one kind join by the maximum, so that crossings and joints do
/// not show, and then all of them are laid over the image at once. Edges are ramps around the true distance:
/// antialiasing without samples.
struct Canvas {
  let size: Int
  /// Pixels per unit of the map.
  let scale: Double
  private(set) var planes: [[Float]]
  private var coverage: [Float]

  /// The circle of radius 1 touches the border of the image but for a narrow margin.
  init(size: Int) {
    self.size = size
    scale = Double(size) * 0.485
    planes = [[Float]](repeating: [Float](repeating: 0, count: size * size), count: 3)
    coverage = [Float](repeating: 0, count: size * size)
  }

  /// How strokes are painted.
  struct Brush {
    var color: Color
    var opacity: Float = 1
    /// Width of the soft edge over half the width of the stroke.
    var softness = 0.0
    /// Strokes are at least this many pixels half-wide: a sign that is asked about must be visible at any size.
    var halfWidthMin = 0.0
  }

  /// Sets every pixel from its place on the map.
  mutating func fill(_ color: (Point) -> Color) {
    for row in 0..<size {
      for column in 0..<size {
        let value = color(point(column: column, row: row))
        for channel in 0..<3 { planes[channel][row * size + column] = value[channel] }
      }
    }
  }

  /// The middle of a pixel on the map.
  func point(column: Int, row: Int) -> Point {
    Point(
      x: (Double(column) + 0.5 - Double(size) / 2) / scale, y: (Double(row) + 0.5 - Double(size) / 2) / scale)
  }

  mutating func paint(_ strokes: [Stroke], _ brush: Brush) {
    guard !strokes.isEmpty else { return }
    for index in coverage.indices { coverage[index] = 0 }
    for stroke in strokes { cover(stroke, brush) }
    blend(brush)
  }

  /// An upright ellipse.
  mutating func paintEllipse(center: Point, radius: Double, aspect: Double, _ brush: Brush) {
    for index in coverage.indices { coverage[index] = 0 }
    let edge = max(0.6 / scale, brush.softness * radius)
    cover(around: center, reach: radius + edge) { point in
      Self.ramp(radius - Point(x: (point.x - center.x) / aspect, y: point.y - center.y).length, edge: edge)
    }
    blend(brush)
  }

  private mutating func blend(_ brush: Brush) {
    for index in coverage.indices where coverage[index] > 0 {
      let share = coverage[index] * brush.opacity
      for channel in 0..<3 {
        planes[channel][index] += (brush.color[channel] - planes[channel][index]) * share
      }
    }
  }

  /// Covers the pixels of a stroke, one piece between two points at a time.
  private mutating func cover(_ stroke: Stroke, _ brush: Brush) {
    let pixel = 1 / scale
    for index in stroke.points.indices.dropLast(stroke.points.count > 1 ? 1 : 0) {
      let next = min(index + 1, stroke.points.count - 1)
      let (start, end) = (stroke.points[index], stroke.points[next])
      let span = end - start
      let spanSquared = span.x * span.x + span.y * span.y
      let widest = max(stroke.halfWidths[index], stroke.halfWidths[next], brush.halfWidthMin * pixel)
      let reach = widest * (1 + brush.softness) + pixel
      cover(around: (start + end) * 0.5, reach: reach + span.length / 2) { point in
        let offset = point - start
        let t = spanSquared > 0 ? min(1, max(0, (offset.x * span.x + offset.y * span.y) / spanSquared)) : 0
        let wanted = stroke.halfWidths[index] + (stroke.halfWidths[next] - stroke.halfWidths[index]) * t
        let asked = max(wanted, brush.halfWidthMin * pixel)
        // A line thinner than a pixel is a pixel wide and so much fainter.
        let halfWidth = max(asked, pixel * 0.5)
        let covered = Self.ramp(
          halfWidth - point.distance(to: start + span * t), edge: max(pixel * 0.5, brush.softness * halfWidth))
        return covered * Float(asked / halfWidth)
      }
    }
  }

  /// 0 well outside, 1/2 on the edge, 1 well inside.
  private static func ramp(_ inside: Double, edge: Double) -> Float {
    let t = min(1, max(0, 0.5 + inside / (2 * edge)))
    return Float(t * t * (3 - 2 * t))
  }

  /// Raises the coverage of the pixels around a point to what `amount` gives for them.
  private mutating func cover(around center: Point, reach: Double, _ amount: (Point) -> Float) {
    let middle = Double(size) / 2
    func range(_ value: Double) -> Range<Int> {
      let low = min(size, max(0, Int(((value - reach) * scale + middle).rounded(.down))))
      return low..<max(low, min(size, Int(((value + reach) * scale + middle).rounded(.up)) + 1))
    }
    let columns = range(center.x)
    for row in range(center.y) {
      for column in columns {
        let index = row * size + column
        coverage[index] = max(coverage[index], amount(point(column: column, row: row)))
      }
    }
  }
}

/// Red, green and blue, 0 ... 1, as the bytes of an image code them.
typealias Color = SIMD3<Float>
