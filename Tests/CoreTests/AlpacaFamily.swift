import Architecture
import ModelFiles
import Support

/// Llama under other names: all that a new family takes, besides its line in `ModelFamilies.all`.
struct Alpaca: DecoderFamily {
  let modelType = "alpaca"
  let architecture = "AlpacaForCausalLM"
  let defaults = ConfigDefaults(maxPositions: 4096)
  let gguf: GGUFLayout? = GGUFLayout(architecture: "alpaca")
  let names = TensorNames(
    prefixes: [("model.layers.", "transformer.blocks."), ("model.", "transformer.")],
    parts: [(".self_attn.", ".attention.")], forms: [("old.", "transformer.")])

  func readBlock(_ keys: ConfigKeys, into block: inout BlockDescription) throws {
    let bias = try keys.flag("use_bias", false)
    block.attention = .init(queryKeyValueBias: bias, outputBias: bias)
    block.feedForward.bias = bias
  }

  func members(_ block: BlockDescription) -> [String: JSON] { ["use_bias": .bool(block.feedForward.bias)] }
}
