import Foundation

/// A tiny model that sees, made from nothing by `fovea create`, and questions about images for it.
extension Farm {
  /// Settings of the model, of the task, and of training it. Rewards of a random model are all 0; decay and the KL term
  /// make every gradient depend on what was sampled.
  static let seeingModel: [String] = {
    let images = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/arrays/retinamnist.npz").path
    return [
      "task.name=retinamnist", "task.train_file=\(images)", "task.system_prompt=An ophthalmologist answers.",
      "model.create.vocabulary_size=300", "model.create.hidden_size=32", "model.create.feed_forward_size=48",
      "model.create.layer_count=2", "model.create.image_size=16", "model.create.vision_hidden_size=32",
      "model.create.vision_feed_forward_size=48", "model.create.vision_layer_count=2",
      "algorithm.loss.kl_coefficient=1", "optimizer.weight_decay=0.1", "optimizer.learning_rate=0.01",
    ]
  }()
}
