import Console
import Foundation
import Fundus
import Imaging
import Support

/// `fovea fundus`: what the synthetic-fundus task asks, as files: to look at, and for other programs to train on.
enum FundusCommand: Command {
  static let specification = CommandSpecification(
    "fundus", "Writes synthetic fundus photographs and questions about them; not for clinical use.",
    options: [
      .option("count", "N", "Samples. Default 100."),
      .option("size", "PIXELS", "Width and height of the images. Default 256; the task's own is 64."),
      .option("seed", "N", "The run seed whose training samples they are. Default 0."),
      .flag("held-out", "Writes the held-out samples instead, which are the same for every seed."),
    ],
    operands: .one(name: "FOLDER", summary: "Gets data.json (MM-Retinal-Reason) and images/."))

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    let sizes = FundusRenderer.sizes
    let size = try arguments.integer("size", in: sizes) ?? 256
    let seed = try arguments.integer("seed", in: 0...Int.max) ?? 0
    let isHeldOut = arguments.has("held-out")
    let count =
      try arguments.integer("count", in: 1...(isHeldOut ? FundusGenerator.heldOutCount : 1_000_000)) ?? 100
    let folder = URL(fileURLWithPath: arguments.operands[0], isDirectory: true)
    let images = folder.appendingPathComponent("images", isDirectory: true)
    try FileManager.default.createDirectory(at: images, withIntermediateDirectories: true)

    let generator = FundusGenerator(imageSize: size, seed: UInt64(seed))
    var rows: [JSON] = []
    for index in 0..<count {
      let sample = isHeldOut ? generator.heldOutSample(at: index) : generator.trainingSample(at: UInt64(index))
      let name = String(format: "synthetic-%06d.png", index)
      try Data(ImageFile.png(sample.image)).write(to: images.appendingPathComponent(name))
      rows.append(sample.row(image: "images/\(name)"))
    }
    try Data(JSON.array(rows).serialized(pretty: true)).write(to: folder.appendingPathComponent("data.json"))
    print("\(count) synthetic samples, not for clinical use: \(folder.path)/data.json")
    return .success
  }
}
