import ModelFiles
import Tokenizers

/// A Llama of a few thousand parameters with a tokenizer of bytes and ChatML: the smallest model that can be asked
/// something.
public enum ByteModel {
  /// The beginning and the end of a turn.
  public static let turnStart: Int32 = 256
  public static let turnEnd: Int32 = 257

  /// - Parameter maxPositions: the longest sequence, in tokens.
  public static func description(maxPositions: Int = 2048) throws -> ModelDescription {
    let (tokens, added) = vocabulary()
    let tokenizer = try Tokenizer(
      definition: TokenizerDefinition(
        tokens: tokens, merges: [], preTokenizer: .gpt2, addedTokens: added, bosToken: turnStart, eosToken: turnEnd,
        padToken: turnEnd, chatTemplate: template))
    let config = """
      {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": \(tokens.count), "hidden_size": 32,
       "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
       "head_dim": 8, "max_position_embeddings": \(maxPositions), "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
       "tie_word_embeddings": true, "hidden_act": "silu", "bos_token_id": \(turnStart), "eos_token_id": \(turnEnd)}
      """
    var files = tokenizer.files
    files["config.json"] = Array(config.utf8)
    return try ModelDescription(files: files, place: "tiny model")
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
