import Architecture
import Support

/// Qwen2 and Qwen2.5: biases on the queries, keys and values, always.
///
/// Source: configuration_qwen2.py of `transformers`.
package struct Qwen2: DecoderFamily {
  package let modelType = "qwen2"
  package let architecture = "Qwen2ForCausalLM"
  package let defaults = ConfigDefaults(keyValueHeadCount: 32, maxPositions: 32_768)
  package let gguf: GGUFLayout? = GGUFLayout(architecture: "qwen2")

  package init() {}

  package func readBlock(_ keys: ConfigKeys, into block: inout BlockDescription) throws {
    guard try keys.flag("attention_bias", true) else {
      throw keys.failure("attention_bias", expected: "true or nothing for qwen2", found: "false")
    }
    block.attention.queryKeyValueBias = true
  }

  package func readBlock(ggufTensors tensors: Set<String>, into block: inout BlockDescription) {
    block.attention.queryKeyValueBias = true
  }

  package func members(_ block: BlockDescription) -> [String: JSON] { ["use_sliding_window": .bool(false)] }
}
