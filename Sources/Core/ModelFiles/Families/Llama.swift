import Architecture
import Support

/// Llama 2 and 3, SmolLM2, TinyLlama: the family whose keys and names the others follow.
///
/// Source: configuration_llama.py of `transformers`; `permute` of llama.cpp's convert_hf_to_gguf.py.
package struct Llama: DecoderFamily {
  package let modelType = "llama"
  package let architecture = "LlamaForCausalLM"
  package let defaults = ConfigDefaults(maxPositions: 2048)
  package let gguf: GGUFLayout? = GGUFLayout(architecture: "llama", hasAdjacentPairs: true)

  package init() {}

  package func readBlock(_ keys: ConfigKeys, into block: inout BlockDescription) throws {
    let bias = try keys.flag("attention_bias", false)
    (block.attention.queryKeyValueBias, block.attention.outputBias) = (bias, bias)
    block.feedForward.bias = try keys.flag("mlp_bias", false)
  }

  package func readBlock(ggufTensors tensors: Set<String>, into block: inout BlockDescription) {
    let bias = tensors.contains("self_attn.q_proj.bias")
    (block.attention.queryKeyValueBias, block.attention.outputBias) = (bias, bias)
    block.feedForward.bias = tensors.contains("mlp.gate_proj.bias")
  }

  package func members(_ block: BlockDescription) -> [String: JSON] {
    ["attention_bias": .bool(block.attention.outputBias), "mlp_bias": .bool(block.feedForward.bias)]
  }
}
