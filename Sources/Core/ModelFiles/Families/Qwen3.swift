import Architecture
import Support

/// Qwen3, dense: an RMSNorm of each head's queries and keys, and heads whose width is a size of its own.
///
/// Source: configuration_qwen3.py of `transformers`.
package struct Qwen3: DecoderFamily {
  package let modelType = "qwen3"
  package let architecture = "Qwen3ForCausalLM"
  package let defaults = ConfigDefaults(headSize: 128, keyValueHeadCount: 32, maxPositions: 32_768)
  package let gguf: GGUFLayout? = GGUFLayout(architecture: "qwen3")

  package init() {}

  package func readBlock(_ keys: ConfigKeys, into block: inout BlockDescription) throws {
    let bias = try keys.flag("attention_bias", false)
    (block.attention.queryKeyValueBias, block.attention.outputBias) = (bias, bias)
    block.attention.queryKeyNorm = .eachHead
  }

  package func readBlock(ggufTensors tensors: Set<String>, into block: inout BlockDescription) {
    let bias = tensors.contains("self_attn.q_proj.bias")
    (block.attention.queryKeyValueBias, block.attention.outputBias) = (bias, bias)
    block.attention.queryKeyNorm = .eachHead
  }

  package func members(_ block: BlockDescription) -> [String: JSON] {
    ["attention_bias": .bool(block.attention.outputBias), "use_sliding_window": .bool(false)]
  }
}
