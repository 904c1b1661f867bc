import Fundus
import Imaging
import Testing

@Suite("Fundus scenes and images")
struct SceneTests {
  /// FNV-1a, 64 bits.
  private func checksum(_ image: Image) -> UInt64 {
    image.pixels.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  private static func everything() -> Findings {
    var findings = Findings(eye: .right)
    for kind in LesionKind.allCases { findings[kind] = kind == .druse ? 20 : 2 }
    findings.arteriesNarrowed = true
    return findings
  }

  @Test(
    "The bytes of an image are the same on every machine",
    arguments: [
      (UInt64(1), 64, UInt64(0x9da9_5dce_044c_73f5)), (2, 56, 0x0c4c_7033_13f2_7e22),
      (3, 256, 0x7d28_4163_70b2_626a),
    ])
  func bytes(seed: UInt64, size: Int, expected: UInt64) {
    let found = checksum(FundusRenderer.render(FundusScene(Self.everything(), seed: seed), size: size))
    #expect(found == expected, "0x\(String(found, radix: 16))")
  }

  @Test("Equal seeds give equal scenes, other seeds give others")
  func seeds() {
    #expect(FundusScene(Self.everything(), seed: 9) == FundusScene(Self.everything(), seed: 9))
    #expect(FundusScene(Self.everything(), seed: 9) != FundusScene(Self.everything(), seed: 10))
  }

  @Test("A lesion more moves neither vessels nor disc")
  func independentParts() {
    let healthy = FundusScene(Findings(eye: .right), seed: 5)
    var findings = Findings(eye: .right)
    findings[.exudate] = 2
    let ill = FundusScene(findings, seed: 5)
    #expect(healthy.vessels == ill.vessels)
    #expect(healthy.disc == ill.disc)
    #expect(healthy.fovea == ill.fovea)
  }

  @Test("A scene has what was planned, inside the field of view", arguments: 0..<200)
  func plan(seed: Int) {
    let scene = FundusScene(Self.everything(), seed: UInt64(seed))
    for kind in LesionKind.allCases { #expect(scene.count(kind) == (kind == .druse ? 20 : 2)) }
    for lesion in scene.lesions { #expect((lesion.center.x, lesion.center.y) != (0, 0)) }
    for lesion in scene.lesions where lesion.kind != .newVessels {
      let (x, y) = (lesion.center.x, lesion.center.y)
      #expect((x * x + y * y).squareRoot() < 0.95, "\(lesion.kind) at \(x), \(y)")
    }
    #expect((scene.disc.center.x > scene.fovea.x) == (scene.eye == .right))
  }

  @Test(
    "Lesions keep to the half that is asked for",
    arguments: [LesionKind.blotHaemorrhage, .flameHaemorrhage, .exudate, .cottonWoolSpot])
  func halves(kind: LesionKind) {
    for seed in 0..<100 {
      var findings = Findings(eye: seed % 2 == 0 ? .left : .right)
      findings[kind] = 4
      findings.halves = [kind: seed % 4 < 2 ? .upper : .lower]
      #expect(FundusScene(findings, seed: UInt64(seed)).half(of: kind) == findings.halves[kind])
    }
  }

  @Test("Signs that must be distinguished do not touch, in nearly all scenes")
  func clearances() {
    var touching = 0
    for seed in 0..<200 {
      var findings = Findings(eye: .right)
      findings[.cottonWoolSpot] = 4
      findings[.blotHaemorrhage] = 4
      findings[.microaneurysm] = 8
      let lesions = FundusScene(findings, seed: UInt64(seed)).lesions
      for (index, first) in lesions.enumerated() {
        for second in lesions.dropFirst(index + 1) {
          let (dx, dy) = (first.center.x - second.center.x, first.center.y - second.center.y)
          if (dx * dx + dy * dy).squareRoot() < first.radius + second.radius { touching += 1 }
        }
      }
    }
    #expect(touching <= 2)
  }

  @Test("A sign changes the pixels where it lies, at the default size", arguments: LesionKind.allCases)
  func visibility(kind: LesionKind) {
    for seed in UInt64(0)..<20 {
      var findings = Findings(eye: .right)
      let healthy = FundusRenderer.render(FundusScene(findings, seed: seed))
      findings[kind] = 1
      let ill = FundusRenderer.render(FundusScene(findings, seed: seed))
      let largest = zip(healthy.pixels, ill.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
      #expect(largest >= 40, "\(kind) changes pixels by at most \(largest)")
    }
  }

  @Test("The larger cup is the larger pale area", arguments: 0..<20)
  func cups(seed: Int) {
    func pale(_ ratio: Double) -> Int {
      var findings = Findings(eye: .left)
      findings.cupToDiscRatio = ratio
      let pixels = FundusRenderer.render(FundusScene(findings, seed: UInt64(seed))).pixels
      return stride(from: 0, to: pixels.count, by: 3).reduce(0) { $0 + Int(pixels[$1 + 2]) }
    }
    #expect(pale(0.3) < pale(0.5))
    #expect(pale(0.5) < pale(0.7))
    #expect(pale(0.7) < pale(0.9))
  }

  @Test("The rules of diagnosis, case by case")
  func rules() {
    func diagnosis(
      _ kinds: [(LesionKind, Double, Double)], cup: Double = 0.3, narrowed: Bool = false
    ) -> Diagnosis {
      Diagnosis(
        lesions: kinds.map { Lesion(kind: $0, center: Point(x: $1, y: $2), radius: 0.02, strokes: []) },
        fovea: Point(x: 0, y: 0), cupToDiscRatio: cup, arteriesNarrowed: narrowed)
    }
    let quadrants = [(-0.4, -0.4), (0.4, -0.4), (-0.4, 0.4), (0.4, 0.4)]
    let eight = (quadrants + quadrants).map { (LesionKind.blotHaemorrhage, $0.0, $0.1) }
    #expect(diagnosis([]).diseases == [])
    #expect(diagnosis([]).retinopathyGrade == 0)
    #expect(diagnosis([(.exudate, 0, 0)]).retinopathyGrade == 0)
    #expect(diagnosis([(.microaneurysm, 0.2, 0)]).retinopathyGrade == 1)
    #expect(diagnosis([(.microaneurysm, 0.2, 0), (.exudate, 0, 0)]).retinopathyGrade == 2)
    #expect(diagnosis([(.blotHaemorrhage, 0.2, 0.2)]).retinopathyGrade == 2)
    #expect(diagnosis(Array(eight.dropFirst())).retinopathyGrade == 2)
    #expect(diagnosis(eight).retinopathyGrade == 3)
    #expect(diagnosis(eight + [(.newVessels, 0.3, 0)]).retinopathyGrade == 4)
    #expect(diagnosis([], cup: 0.6).diseases == [])
    #expect(diagnosis([], cup: 0.7).diseases == [.glaucoma])
    #expect(diagnosis(Array(repeating: (.druse, 0.1, 0.1), count: 7)).diseases == [])
    #expect(diagnosis(Array(repeating: (.druse, 0.1, 0.1), count: 8)).diseases == [.macularDegeneration])
    #expect(diagnosis([(.subretinalHaemorrhage, 0, 0)]).isWet)
    #expect(diagnosis([(.flameHaemorrhage, 0.3, 0)]).diseases == [])
    #expect(diagnosis([(.flameHaemorrhage, 0.3, 0)], narrowed: true).diseases == [.hypertensiveRetinopathy])
  }
}
