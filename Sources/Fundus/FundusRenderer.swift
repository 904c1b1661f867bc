import Imaging
import Support

/// Draws a scene: the image that a fundus camera would take of it. Synthetic; not for clinical use.
///
/// From the back to the front: choroid and pigment epithelium with their texture, macula, drusen and blood below the
/// retina, disc and cup, vessels, lesions; then the camera: uneven light, colour cast, sensor noise, the round
/// aperture. Everything but the noise is defined on the map, so that all sizes show the same eye.
public enum FundusRenderer {
  /// The size that models of a few million parameters are trained on.
  public static let sizeDefault = 64
  /// The sizes that are drawn.
  public static let sizes = 16...2048

  /// The photograph of a scene; equal bytes on every machine.
  /// - Parameter size: width and height in pixels, one of `sizes`.
  public static func render(_ scene: FundusScene, size: Int = sizeDefault) -> Image {
    precondition(sizes.contains(size), "size \(size)")
    var canvas = Canvas(size: size)
    paintRetina(of: scene, on: &canvas)
    for kind in [LesionKind.druse, .subretinalHaemorrhage] { paint(kind, of: scene, on: &canvas) }

    let disc = scene.disc
    canvas.paintEllipse(
      center: disc.center, radius: disc.radius, aspect: disc.aspect,
      Canvas.Brush(color: Palette.disc, opacity: 0.95, softness: 0.08))
    canvas.paintEllipse(
      center: disc.cupCenter, radius: disc.radius * disc.cupToDiscRatio, aspect: disc.aspect,
      Canvas.Brush(color: Palette.cup, opacity: 0.95, softness: 0.12))
    for (kind, brush) in [(Vessel.Kind.artery, Palette.artery), (.vein, Palette.vein)] {
      canvas.paint(scene.vessels.filter { $0.kind == kind }.map(\.path), brush)
    }
    for kind in [
      LesionKind.exudate, .cottonWoolSpot, .flameHaemorrhage, .blotHaemorrhage, .microaneurysm, .newVessels,
    ] { paint(kind, of: scene, on: &canvas) }
    return exposed(canvas, scene: scene)
  }

  private static func paint(_ kind: LesionKind, of scene: FundusScene, on canvas: inout Canvas) {
    let strokes = scene.lesions.filter { $0.kind == kind }.flatMap(\.strokes)
    canvas.paint(strokes, Palette.lesion(kind))
  }

  private static func paintRetina(of scene: FundusScene, on canvas: inout Canvas) {
    let texture = Texture(random: FundusScene.random(.texture, seed: scene.seed))
    let base = Palette.light + (Palette.dark - Palette.light) * Float(scene.pigmentation)
    canvas.fill { point in
      let offset = point - scene.fovea
      let squared = Float(offset.x * offset.x + offset.y * offset.y)
      // 1 at the fovea, a half at about 0.15, and long tails.
      let falloff = 1 / (1 + squared * 18)
      let pigment = falloff * falloff * 0.75
      return (base + (Palette.macula - base) * pigment) * (1 + texture.value(at: point) * 0.09)
    }
  }

  /// The effects of the camera on the image.
  private static func exposed(_ canvas: Canvas, scene: FundusScene) -> Image {
    var camera = FundusScene.random(.camera, seed: scene.seed)
    let exposure = Float(camera.uniform(in: 0.82...1.1))
    let lightCenter = Point(x: camera.uniform(in: -0.25...0.25), y: camera.uniform(in: -0.25...0.25))
    let falloff = Float(camera.uniform(in: 0.18...0.34))
    let cast = Color(
      Float(camera.uniform(in: 0.94...1.06)), Float(camera.uniform(in: 0.92...1.08)),
      Float(camera.uniform(in: 0.85...1.15)))

    var noise = FundusScene.random(.noise, seed: scene.seed)
    let size = canvas.size
    var pixels = [UInt8](repeating: 0, count: size * size * 3)
    for row in 0..<size {
      for column in 0..<size {
        let index = row * size + column
        let point = canvas.point(column: column, row: row)
        let offset = point - lightCenter
        let distanceSquared = Float(offset.x * offset.x + offset.y * offset.y)
        let light = exposure * (1.05 - falloff * distanceSquared)
        let aperture = Float(min(1, max(0, 0.5 + (1 - point.length) * canvas.scale)))
        // Triangular noise, most of it common to the channels.
        let bits = noise.next()
        func part(_ shift: UInt64) -> Float { Float((bits >> shift) & 0xFF) * (1 / 255) - 0.5 }
        let common = (part(0) + part(8)) * 0.045
        for channel in 0..<3 {
          let own = part(16 + 8 * UInt64(channel)) * 0.03
          let value = (canvas.planes[channel][index] * light * cast[channel] + common + own) * aperture
          pixels[index * 3 + channel] = UInt8(min(255, max(0, value * 255 + 0.5)))
        }
      }
    }
    return Image(width: size, height: size, pixels: pixels)
  }
}
