/// The colours of a photograph.
enum Palette {
  /// The retina of light and of dark eyes.
  static let light = Color(0.86, 0.47, 0.25)
  static let dark = Color(0.62, 0.29, 0.14)
  static let macula = Color(0.40, 0.15, 0.07)
  static let disc = Color(0.97, 0.74, 0.47)
  static let cup = Color(1.0, 0.95, 0.80)
  static let artery = Canvas.Brush(color: Color(0.70, 0.17, 0.10), opacity: 0.85)
  static let vein = Canvas.Brush(color: Color(0.47, 0.09, 0.08), opacity: 0.9)

  static func lesion(_ kind: LesionKind) -> Canvas.Brush {
    switch kind {
    case .microaneurysm:
      Canvas.Brush(color: Color(0.42, 0.03, 0.04), opacity: 0.95, softness: 0.2, halfWidthMin: 0.95)
    case .blotHaemorrhage: Canvas.Brush(color: Color(0.33, 0.02, 0.03), opacity: 0.92, softness: 0.25)
    case .flameHaemorrhage:
      Canvas.Brush(color: Color(0.40, 0.02, 0.03), opacity: 0.95, softness: 0.3, halfWidthMin: 0.4)
    case .exudate: Canvas.Brush(color: Color(1.0, 0.93, 0.36), opacity: 0.97, softness: 0.1, halfWidthMin: 0.6)
    case .cottonWoolSpot: Canvas.Brush(color: Color(0.99, 0.96, 0.92), opacity: 0.9, softness: 0.9)
    case .druse: Canvas.Brush(color: Color(0.95, 0.76, 0.46), opacity: 0.8, softness: 0.5, halfWidthMin: 0.8)
    case .newVessels:
      Canvas.Brush(color: Color(0.74, 0.05, 0.07), opacity: 0.95, softness: 0.1, halfWidthMin: 0.45)
    case .subretinalHaemorrhage: Canvas.Brush(color: Color(0.25, 0.05, 0.05), opacity: 0.85, softness: 0.4)
    }
  }
}
