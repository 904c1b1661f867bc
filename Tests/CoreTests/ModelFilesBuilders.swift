import Architecture
import Support
import Tensor

/// Model files made byte by byte, so that a test can break any one of them: a llama of one layer, width 8, two query
/// heads and one key head of width 4.

extension FixedWidthInteger {
  /// Little-endian.
  var fileBytes: [UInt8] { withUnsafeBytes(of: littleEndian, Array.init) }
}

extension String {
  /// As GGUF writes it: a 64-bit length, then UTF-8.
  var fileBytes: [UInt8] { UInt64(utf8.count).fileBytes + utf8 }
}

/// A GGUF file as its parts; `bytes` puts them together without checking anything.
struct GGUFBuilder: Sendable {
  struct Pair: Sendable {
    var key: [UInt8]
    var type: UInt32
    var value: [UInt8]
  }
  struct Tensor: Sendable {
    var name: String
    /// The contiguous dimension first.
    var dimensions: [UInt64]
    var type: UInt32 = 0
    var offset: UInt64
  }
  var magic: [UInt8] = Array("GGUF".utf8)
  var version: UInt32 = 3
  var tensorCount: UInt64?
  var pairCount: UInt64?
  var pairs: [Pair] = []
  var tensors: [Tensor] = []
  var data: [UInt8] = []

  mutating func set(_ key: String, type: UInt32, _ value: [UInt8]) {
    remove(key)
    pairs.append(Pair(key: key.fileBytes, type: type, value: value))
  }
  mutating func set(_ key: String, _ value: UInt32) { set(key, type: 4, value.fileBytes) }
  mutating func set(_ key: String, _ value: Int64) { set(key, type: 11, value.fileBytes) }
  mutating func set(_ key: String, _ value: Float) { set(key, type: 6, value.bitPattern.fileBytes) }
  mutating func set(_ key: String, _ value: String) { set(key, type: 8, value.fileBytes) }
  mutating func set(_ key: String, _ values: [String]) {
    set(key, type: 9, UInt32(8).fileBytes + UInt64(values.count).fileBytes + values.flatMap(\.fileBytes))
  }
  mutating func remove(_ key: String) { pairs.removeAll { $0.key == key.fileBytes } }

  /// Appends an F32 tensor, `shape` with rows first.
  mutating func add(_ name: String, _ shape: [Int]) {
    let count = shape.reduce(1, *)
    tensors.append(
      Tensor(name: name, dimensions: shape.reversed().map { UInt64($0) }, offset: UInt64(data.count)))
    data += (0..<count).flatMap { Float($0).bitPattern.fileBytes }
  }

  mutating func change(_ name: String, _ body: (inout Tensor) -> Void) {
    guard let index = tensors.firstIndex(where: { $0.name == name }) else { preconditionFailure("no tensor \(name)") }
    body(&tensors[index])
  }

  var bytes: [UInt8] {
    var bytes = magic + version.fileBytes
    bytes += (tensorCount ?? UInt64(tensors.count)).fileBytes + (pairCount ?? UInt64(pairs.count)).fileBytes
    for pair in pairs { bytes += pair.key + pair.type.fileBytes + pair.value }
    for tensor in tensors {
      bytes += tensor.name.fileBytes + UInt32(tensor.dimensions.count).fileBytes
      bytes += tensor.dimensions.flatMap(\.fileBytes) + tensor.type.fileBytes + tensor.offset.fileBytes
    }
    bytes += repeatElement(0, count: (32 - bytes.count % 32) % 32)
    return bytes + data
  }

  /// A model that loads; its last byte is the last tensor's.
  static let valid: GGUFBuilder = {
    var file = GGUFBuilder()
    file.set("general.architecture", "llama")
    for (key, value) in [
      ("block_count", UInt32(1)), ("context_length", 64), ("embedding_length", 8), ("feed_forward_length", 16),
      ("attention.head_count", 2), ("attention.head_count_kv", 1), ("rope.dimension_count", 4),
    ] { file.set("llama.\(key)", value) }
    file.set("llama.attention.layer_norm_rms_epsilon", Float(1e-5))
    file.set("tokenizer.ggml.model", "gpt2")
    file.set("tokenizer.ggml.tokens", ["<end>", "a", "b", "ab"])
    file.set(
      "tokenizer.ggml.token_type", type: 9,
      UInt32(5).fileBytes + UInt64(4).fileBytes + [3, 1, 1, 1].flatMap { Int32($0).fileBytes })
    file.set("tokenizer.ggml.merges", ["a b"])
    file.set("tokenizer.ggml.eos_token_id", UInt32(0))
    file.add("token_embd.weight", [4, 8])
    file.add("blk.0.attn_norm.weight", [8])
    file.add("blk.0.attn_q.weight", [8, 8])
    file.add("blk.0.attn_k.weight", [4, 8])
    file.add("blk.0.attn_v.weight", [4, 8])
    file.add("blk.0.attn_output.weight", [8, 8])
    file.add("blk.0.ffn_norm.weight", [8])
    file.add("blk.0.ffn_gate.weight", [16, 8])
    file.add("blk.0.ffn_up.weight", [16, 8])
    file.add("blk.0.ffn_down.weight", [8, 16])
    file.add("output_norm.weight", [8])
    return file
  }()
}

/// A Hugging Face folder as its parts; `write` puts them down without checking anything.
struct FolderBuilder: Sendable {
  var config: [String: JSON]
  /// The header's members; nil leaves room for a header of its own in `headerText`.
  var header: [String: JSON] = [:]
  var headerText: [UInt8]?
  var headerLength: UInt64?
  var data: [UInt8] = []
  /// Other files, and files instead of those above.
  var files: [String: [UInt8]] = [:]

  /// Appends an F32 tensor.
  mutating func add(_ name: String, _ shape: [Int]) {
    let count = shape.reduce(1, *)
    header[name] = FolderBuilder.tensor("F32", shape, data.count, data.count + 4 * count)
    data += (0..<count).flatMap { Float($0).bitPattern.fileBytes }
  }

  /// A tensor's description in the header.
  static func tensor(_ type: String, _ shape: [Int], _ begin: Int, _ end: Int) -> JSON {
    .object([
      "dtype": .string(type), "shape": .array(shape.map { .integer(Int64($0)) }),
      "data_offsets": .array([.integer(Int64(begin)), .integer(Int64(end))]),
    ])
  }

  mutating func change(_ name: String, _ key: String, _ value: JSON?) {
    guard var members = header[name]?.object else { preconditionFailure("no tensor \(name)") }
    members[key] = value
    header[name] = .object(members)
  }

  var safetensors: [UInt8] {
    let text = headerText ?? JSON.object(header).serialized()
    return (headerLength ?? UInt64(text.count)).fileBytes + text + data
  }

  func write() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    var all = [
      "config.json": JSON.object(config).serialized(), "model.safetensors": safetensors,
      "tokenizer.json": try MappedFile.contents(of: "\(ModelFiles.fixtures)/tokenizer.json", byteCountMax: 1 << 16),
    ]
    all.merge(files) { _, new in new }
    for (name, bytes) in all where !bytes.isEmpty { try folder.write(bytes, name) }
    return folder
  }

  /// A model that loads.
  static let valid: FolderBuilder = {
    var folder = FolderBuilder(config: [
      "architectures": .array([.string("LlamaForCausalLM")]), "model_type": .string("llama"),
      "vocab_size": .integer(96), "hidden_size": .integer(8), "intermediate_size": .integer(16),
      "num_hidden_layers": .integer(1), "num_attention_heads": .integer(2), "num_key_value_heads": .integer(1),
      "rms_norm_eps": .number(1e-5), "tie_word_embeddings": .bool(true), "eos_token_id": .integer(2),
    ])
    folder.header["__metadata__"] = .object(["format": .string("pt")])
    let config = ModelConfig(
      vocabularySize: 96, hiddenSize: 8, feedForwardSize: 16, layerCount: 1, headCount: 2, keyValueHeadCount: 1)
    for parameter in config.parameters { folder.add(parameter.name, parameter.shape) }
    return folder
  }()
}
