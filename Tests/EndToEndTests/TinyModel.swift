import Core
import Foundation

/// A random Llama of a few thousand parameters with a tokenizer of bytes, written as a Hugging Face folder: the smallest
/// thing that a whole farm can train.
enum TinyModel {
  /// Writes the model.
  /// - Parameter seed: of the weights.
  static func write(to folder: String, seed: UInt64 = 1) throws {
    let (tokens, added) = vocabulary()
    let tokenizer = try Tokenizer(
      definition: TokenizerDefinition(
        tokens: tokens, merges: [], preTokenizer: .gpt2, addedTokens: added, bosToken: 256, eosToken: 257,
        padToken: 257, chatTemplate: template))
    let config = """
      {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": \(tokens.count), "hidden_size": 32,
       "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
       "head_dim": 8, "max_position_embeddings": 2048, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
       "tie_word_embeddings": true, "hidden_act": "silu", "bos_token_id": 256, "eos_token_id": 257}
      """
    var files = tokenizer.files
    files["config.json"] = Array(config.utf8)
    let description = try ModelDescription(files: files, place: "tiny model")
    let parameters = ParameterSet(config: description.config)
    var random = RandomStream(seed: seed, purpose: .test)
    for (index, parameter) in parameters.parameters.enumerated() {
      let isNorm = parameter.name.hasSuffix("norm.weight")
      for scalar in parameters.scalars(index).indices {
        // A sum of uniforms is normal enough.
        let noise = (0..<4).reduce(Float(0)) { sum, _ in sum + random.uniform() - 0.5 }
        parameters.scalars(index)[scalar] = isNorm ? 1 + 0.1 * noise : 0.2 * noise
      }
    }
    try ModelSaver.save(description, parameters: parameters, to: folder, encoding: .float32)
  }

  /// 256 bytes in GPT-2's alphabet, and the two tokens of ChatML.
  private static func vocabulary() -> ([String], [AddedToken]) {
    var next: UInt32 = 256
    var tokens = (0..<256).map { (byte: UInt32) -> String in
      let isPrintable = (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
      defer { if !isPrintable { next += 1 } }
      return String(Character(Unicode.Scalar(isPrintable ? byte : next)!))
    }
    let special = ["<|im_start|>", "<|im_end|>"]
    tokens += special
    return (
      tokens, special.enumerated().map { AddedToken(id: Int32(256 + $0.offset), content: $0.element, special: true) }
    )
  }

  private static let template = """
    {% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
    """
}
