/// How a family's models are laid out in GGUF files.
///
/// Source: the key and tensor names in ggml/docs/gguf.md; `permute` of llama.cpp's convert_hf_to_gguf.py.
package struct GGUFLayout: Sendable {
  /// `general.architecture`, with which the family's keys begin.
  package var architecture: String
  /// Whether the rows of the query and key projections have rotary pairs next to each other, as Llama's converter
  /// stores them.
  package var hasAdjacentPairs: Bool
  /// Names outside the layers, and the canonical ones, without ".weight".
  package var outerNames = [
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
  ]
  /// Names inside a layer, and the canonical ones, without ".weight" and ".bias".
  package var layerNames = [
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
  ]

  package init(architecture: String, hasAdjacentPairs: Bool = false) {
    self.architecture = architecture
    self.hasAdjacentPairs = hasAdjacentPairs
  }

  /// The canonical name of a tensor; nil for a tensor that is no parameter.
  func canonicalName(_ name: String) -> String? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    switch parts.count {
    case 2:
      guard parts[1] == "weight", let stem = outerNames[String(parts[0])] else { return nil }
      return "\(stem).weight"
    case 4:
      guard parts[0] == "blk", let layer = Int(parts[1]), "\(layer)" == parts[1], layer >= 0,
        parts[3] == "weight" || parts[3] == "bias", let stem = layerNames[String(parts[2])]
      else { return nil }
      return "model.layers.\(layer).\(stem).\(parts[3])"
    default: return nil
    }
  }
}
