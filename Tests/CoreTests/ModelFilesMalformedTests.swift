import Glibc
import ModelFiles
import Support
import Testing

/// A model file with one thing wrong, and what the error must name.
struct Malformed<File: Sendable>: Sendable, CustomTestStringConvertible {
  var what: String
  var named: String
  var damage: @Sendable (inout File) -> Void

  init(_ what: String, names named: String, _ damage: @escaping @Sendable (inout File) -> Void) {
    self.what = what
    self.named = named
    self.damage = damage
  }

  var testDescription: String { what }
}

/// No file makes the loader trap, or take memory that the file does not justify: it throws an error that says what is
/// wrong and where.
@Suite struct MalformedModelFileTests {
  static let gguf: [Malformed<GGUFBuilder>] = [
    .init("another magic", names: "byte 0") { $0.magic = Array("GGML".utf8) },
    .init("version 2", names: "byte 4") { $0.version = 2 },
    .init("big-endian", names: "big-endian") { $0.version = UInt32(3).bigEndian },
    .init("2^63 tensors", names: "number of tensors") { $0.tensorCount = 1 << 63 },
    .init("10^9 tensors", names: "number of tensors") { $0.tensorCount = 1_000_000_000 },
    .init("2^64 - 1 metadata pairs", names: "number of metadata pairs") { $0.pairCount = .max },
    .init("more metadata pairs than there are", names: "length of") { $0.pairCount = UInt64($0.pairs.count + 1) },
    .init("a key longer than the file", names: "metadata key") { $0.pairs[0].key = UInt64(1 << 40).fileBytes },
    .init("a key of 2^64 - 1 bytes", names: "metadata key") { $0.pairs[0].key = UInt64.max.fileBytes },
    .init("a key that is not UTF-8", names: "metadata key") { $0.pairs[0].key = UInt64(2).fileBytes + [0xFF, 0xFE] },
    .init("a string longer than the file", names: "general.name") {
      $0.set("general.name", type: 8, UInt64(1 << 50).fileBytes)
    },
    .init("type 13", names: "general.name") { $0.set("general.name", type: 13, [0]) },
    .init("an array of 10^18", names: "general.tags") {
      $0.set("general.tags", type: 9, UInt32(0).fileBytes + UInt64(1_000_000_000_000_000_000).fileBytes)
    },
    .init("an array of 2^61 times 8 bytes", names: "general.tags") {
      $0.set("general.tags", type: 9, UInt32(12).fileBytes + UInt64(1 << 61).fileBytes)
    },
    .init("an array of strings that ends in the second", names: "general.tags") {
      $0.set(
        "general.tags", type: 9, UInt32(8).fileBytes + UInt64(2).fileBytes + "a".fileBytes + UInt64(1 << 62).fileBytes)
    },
    .init("arrays in arrays in arrays", names: "general.tags") {
      let nested = (0..<10_000).flatMap { _ in UInt32(9).fileBytes + UInt64(1).fileBytes }
      $0.set("general.tags", type: 9, nested + UInt32(0).fileBytes + UInt64(0).fileBytes)
    },
    .init("a bool of 2", names: "general.flag") { $0.set("general.flag", type: 7, [2]) },
    .init("a key twice", names: "llama.block_count again") { $0.pairs.append($0.pairs[1]) },
    .init("alignment 0", names: "general.alignment") { $0.set("general.alignment", UInt32(0)) },
    .init("alignment 12", names: "general.alignment") { $0.set("general.alignment", UInt32(12)) },
    .init("alignment 2^31", names: "general.alignment") { $0.set("general.alignment", UInt32(1 << 31)) },
    .init("a tensor of no dimensions", names: "output_norm.weight") {
      $0.change("output_norm.weight") { $0.dimensions = [] }
    },
    .init("a tensor of five dimensions", names: "output_norm.weight") {
      $0.change("output_norm.weight") { $0.dimensions = [8, 1, 1, 1, 1] }
    },
    .init("a dimension of 0", names: "blk.0.attn_q.weight") {
      $0.change("blk.0.attn_q.weight") { $0.dimensions = [0, 8] }
    },
    .init("a dimension of 2^63", names: "blk.0.attn_q.weight") {
      $0.change("blk.0.attn_q.weight") { $0.dimensions = [1 << 63, 8] }
    },
    .init("dimensions whose product overflows", names: "blk.0.attn_q.weight") {
      $0.change("blk.0.attn_q.weight") { $0.dimensions = [1 << 40, 1 << 40] }
    },
    .init("type 9999", names: "blk.0.attn_q.weight") { $0.change("blk.0.attn_q.weight") { $0.type = 9999 } },
    .init("a type that is not supported, Q5_0", names: "blk.0.attn_q.weight") {
      $0.change("blk.0.attn_q.weight") { $0.type = 6 }
    },
    .init("rows that are no whole blocks", names: "blk.0.attn_q.weight") {
      $0.change("blk.0.attn_q.weight") { $0.type = 2 }
    },
    .init("an offset that is not aligned", names: "blk.0.attn_q.weight") {
      $0.change("blk.0.attn_q.weight") { $0.offset += 4 }
    },
    .init("an offset past the end", names: "blk.0.attn_q.weight") {
      $0.change("blk.0.attn_q.weight") { $0.offset = 1 << 20 }
    },
    .init("an offset near 2^63", names: "blk.0.attn_q.weight") {
      $0.change("blk.0.attn_q.weight") { $0.offset = 1 << 63 - 32 }
    },
    .init("an offset of 2^64 - 32", names: "blk.0.attn_q.weight") {
      $0.change("blk.0.attn_q.weight") { $0.offset = .max - 31 }
    },
    .init("overlapping tensors", names: "blk.0.ffn_up.weight") {
      $0.change("blk.0.ffn_up.weight") { $0.offset -= 32 }
    },
    .init("a tensor name twice", names: "blk.0.attn_norm.weight") {
      $0.change("blk.0.ffn_norm.weight") { $0.name = "blk.0.attn_norm.weight" }
    },
    .init("a missing tensor", names: "model.layers.0.mlp.up_proj.weight") {
      $0.tensors.removeAll { $0.name == "blk.0.ffn_up.weight" }
    },
    .init("no embedding", names: "token_embd.weight") { $0.tensors.removeAll { $0.name == "token_embd.weight" } },
    .init("a shape that the metadata deny", names: "blk.0.ffn_up.weight") {
      $0.change("blk.0.ffn_up.weight") { $0.dimensions = [16, 8] }
    },
    .init("a tensor too many", names: "blk.0.attn_sinks.weight") { $0.add("blk.0.attn_sinks.weight", [8]) },
    .init("another architecture", names: "general.architecture") { $0.set("general.architecture", "gpt2") },
    .init("no architecture", names: "general.architecture") { $0.remove("general.architecture") },
    .init("an architecture that is a number", names: "general.architecture") {
      $0.set("general.architecture", UInt32(3))
    },
    .init("0 heads", names: "llama.attention.head_count") { $0.set("llama.attention.head_count", UInt32(0)) },
    .init("-1 heads", names: "llama.attention.head_count") { $0.set("llama.attention.head_count", Int64(-1)) },
    .init("0 key-value heads", names: "num_key_value_heads") { $0.set("llama.attention.head_count_kv", UInt32(0)) },
    .init("key-value heads that do not divide", names: "num_key_value_heads") {
      $0.set("llama.attention.head_count_kv", UInt32(3))
    },
    .init("10^18 layers", names: "num_hidden_layers") {
      $0.set("llama.block_count", Int64(1_000_000_000_000_000_000))
    },
    .init("a layer more than there is", names: "model.layers.1.input_layernorm.weight") {
      $0.set("llama.block_count", UInt32(2))
    },
    .init("2^63 as a width", names: "llama.embedding_length") {
      $0.set("llama.embedding_length", type: 10, (UInt64(1) << 63).fileBytes)
    },
    .init("another width than the tensors'", names: "token_embd.weight") {
      $0.set("llama.embedding_length", UInt32(16))
      $0.set("llama.rope.dimension_count", UInt32(8))
    },
    .init("rotary pairs in a part of the head", names: "llama.rope.dimension_count") {
      $0.set("llama.rope.dimension_count", UInt32(2))
    },
    .init("an epsilon that is a string", names: "layer_norm_rms_epsilon") {
      $0.set("llama.attention.layer_norm_rms_epsilon", "small")
    },
    .init("an epsilon that is not a number", names: "rms_norm_eps") {
      $0.set("llama.attention.layer_norm_rms_epsilon", Float.nan)
    },
    .init("an infinite rotary base", names: "rope_theta") { $0.set("llama.rope.freq_base", Float.infinity) },
    .init("yarn", names: "llama.rope.scaling.type") { $0.set("llama.rope.scaling.type", "yarn") },
    .init("rotary divisors of no published model", names: "rope_freqs.weight") { $0.add("rope_freqs.weight", [2]) },
    .init("one file of several", names: "split.count") { $0.set("split.count", UInt32(2)) },
    .init("experts", names: "llama.expert_count") { $0.set("llama.expert_count", UInt32(8)) },
    .init("an end token outside the vocabulary", names: "tokenizer.ggml.eos_token_id") {
      $0.set("tokenizer.ggml.eos_token_id", UInt32(4))
    },
    .init("no merges", names: "tokenizer.ggml.merges") { $0.remove("tokenizer.ggml.merges") },
    .init("tokens that are numbers", names: "tokenizer.ggml.tokens") {
      $0.set("tokenizer.ggml.tokens", type: 9, UInt32(0).fileBytes + UInt64(4).fileBytes + [1, 2, 3, 4])
    },
    .init("more tokens than embeddings", names: "token") {
      $0.set("tokenizer.ggml.tokens", ["<end>", "a", "b", "ab", "c"])
      $0.remove("tokenizer.ggml.token_type")
    },
    .init("another tokenizer", names: "tokenizer.ggml.model") { $0.set("tokenizer.ggml.model", "llama") },
  ]

  static let safetensors: [Malformed<FolderBuilder>] = [
    .init("a header longer than the file", names: "header") { $0.headerLength = 1 << 30 },
    .init("a header of 2^64 - 1 bytes", names: "header") { $0.headerLength = .max },
    .init("a header of 0 bytes", names: "header") { $0.headerLength = 0 },
    .init("a header that is not JSON", names: "header, byte 1") { $0.headerText = Array("{broken".utf8) },
    .init("a header that is an array", names: "model.safetensors") { $0.headerText = Array("[]".utf8) },
    .init("a header of a million brackets", names: "nesting") {
      $0.headerText = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
    },
    .init("a tensor twice", names: "model.norm.weight") {
      let twice = #""model.norm.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#
      $0.headerText = Array("{\(twice),\(twice)}".utf8)
    },
    .init("dtype I64", names: "model.norm.weight") { $0.change("model.norm.weight", "dtype", .string("I64")) },
    .init("dtype Q4_0", names: "model.norm.weight") { $0.change("model.norm.weight", "dtype", .string("Q4_0")) },
    .init("no dtype", names: "tensor model.norm.weight, key dtype") { $0.change("model.norm.weight", "dtype", nil) },
    .init("half the bytes for the dtype", names: "model.norm.weight") {
      $0.change("model.norm.weight", "dtype", .string("F16"))
    },
    .init("a negative dimension", names: "model.norm.weight") {
      $0.change("model.norm.weight", "shape", .array([.integer(-8)]))
    },
    .init("dimensions whose product overflows", names: "model.norm.weight") {
      $0.change("model.norm.weight", "shape", .array([.integer(1 << 40), .integer(1 << 40)]))
    },
    .init("a dimension of 8.5", names: "model.norm.weight, key shape") {
      $0.change("model.norm.weight", "shape", .array([.number(8.5)]))
    },
    .init("a shape that is a number", names: "model.norm.weight, key shape") {
      $0.change("model.norm.weight", "shape", .integer(8))
    },
    .init("negative offsets", names: "model.norm.weight") {
      $0.change("model.norm.weight", "data_offsets", .array([.integer(-32), .integer(0)]))
    },
    .init("offsets past the end", names: "model.norm.weight") {
      $0.change("model.norm.weight", "data_offsets", .array([.integer(1 << 20), .integer(1 << 20 + 32)]))
    },
    .init("an offset of 2^63 - 1", names: "model.norm.weight") {
      $0.change("model.norm.weight", "data_offsets", .array([.integer(0), .integer(.max)]))
    },
    .init("offsets that end before they begin", names: "model.norm.weight") {
      $0.change("model.norm.weight", "data_offsets", .array([.integer(32), .integer(0)]))
    },
    .init("three offsets", names: "model.norm.weight") {
      $0.change("model.norm.weight", "data_offsets", .array([.integer(0), .integer(0), .integer(32)]))
    },
    .init("overlapping tensors", names: "tensor model.") {
      $0.change("model.norm.weight", "data_offsets", .array([.integer(0), .integer(32)]))
    },
    .init("a hole between tensors", names: "tensor model.") {
      $0.header["model.layers.0.input_layernorm.weight"] = nil
    },
    .init("bytes after the last tensor", names: "model.safetensors") { $0.data.append(0) },
    .init("a missing tensor", names: "model.norm.weight") {
      $0.header["model.norm.weight"] = nil
      $0.data.removeLast(32)
    },
    .init("a shape that the configuration denies", names: "tensor model.norm.weight") {
      $0.change("model.norm.weight", "shape", .array([.integer(2), .integer(4)]))
    },
    .init("a tensor too many", names: "model.layers.0.self_attn.q_norm.weight") {
      $0.add("model.layers.0.self_attn.q_norm.weight", [4])
    },
    .init("no weights", names: "model.safetensors") { $0.files["model.safetensors"] = [] },
    .init("an empty index", names: "weight_map") {
      $0.files["model.safetensors"] = []
      $0.files["model.safetensors.index.json"] = Array("{}".utf8)
    },
    .init("a shard that is not there", names: "model-00001.safetensors") {
      $0.files["model.safetensors"] = []
      $0.files["model.safetensors.index.json"] = Array(#"{"weight_map": {"a": "model-00001.safetensors"}}"#.utf8)
    },
    .init("a shard outside the folder", names: "tensor a") {
      $0.files["model.safetensors"] = []
      $0.files["model.safetensors.index.json"] = Array(#"{"weight_map": {"a": "../model.safetensors"}}"#.utf8)
    },
    .init("a tensor that the shard lacks", names: "one.safetensors, tensor a") {
      $0.files["one.safetensors"] = $0.safetensors
      $0.files["model.safetensors"] = []
      $0.files["model.safetensors.index.json"] = Array(#"{"weight_map": {"a": "one.safetensors"}}"#.utf8)
    },
    .init("a tensor that the index lacks", names: "one.safetensors, tensor model.") {
      $0.files["one.safetensors"] = $0.safetensors
      $0.files["model.safetensors"] = []
      $0.files["model.safetensors.index.json"] = Array(
        #"{"weight_map": {"model.norm.weight": "one.safetensors"}}"#.utf8)
    },
  ]

  @Test("A malformed GGUF file is refused", arguments: gguf)
  func aMalformedGGUFFileIsRefused(file: Malformed<GGUFBuilder>) throws {
    var builder = GGUFBuilder.valid
    file.damage(&builder)
    let folder = try TemporaryFolder()
    let path = try folder.write(builder.bytes, "model.gguf")
    Self.expectRefused(path, file: path, naming: file.named)
  }

  @Test("Malformed safetensors are refused", arguments: safetensors)
  func malformedSafetensorsAreRefused(file: Malformed<FolderBuilder>) throws {
    var builder = FolderBuilder.valid
    file.damage(&builder)
    let folder = try builder.write()
    Self.expectRefused(folder.path, file: folder.path, naming: file.named)
  }

  @Test("The files that the builders make load") func whatTheBuildersMakeLoads() throws {
    let folder = try FolderBuilder.valid.write()
    _ = try ModelLoader.load(path: folder.path)
    _ = try ModelLoader.load(path: try folder.write(GGUFBuilder.valid.bytes, "model.gguf"))
  }

  @Test("A GGUF file that is truncated at any byte is refused") func aGGUFFileCutAtAnyByteIsRefused() throws {
    let folder = try TemporaryFolder()
    let bytes = GGUFBuilder.valid.bytes
    let path = try folder.write(bytes, "model.gguf")
    for length in stride(from: bytes.count - 1, through: 0, by: -1) {
      #expect(truncate(path, length) == 0)
      Self.expectRefused(path, file: path, naming: "")
    }
  }

  @Test("A safetensors file that is truncated at any byte is refused") func aSafetensorsFileCutAtAnyByteIsRefused()
    throws
  {
    let folder = try FolderBuilder.valid.write()
    let path = "\(folder.path)/model.safetensors"
    for length in stride(from: FolderBuilder.valid.safetensors.count - 1, through: 0, by: -1) {
      #expect(truncate(path, length) == 0)
      let error = #expect(throws: InputError.self) { try SafetensorsFile.tensors(path: path) }
      #expect(error?.place.hasPrefix(path) == true)
    }
  }

  @Test("A file of random bytes, or with random bytes changed, never traps", arguments: UInt64(0)..<32)
  func aFileOfRandomBytesOrWithRandomBytesChangedNeverTraps(seed: UInt64) throws {
    var random = RandomStream(seed: seed, purpose: .test)
    let folder = try FolderBuilder.valid.write()
    for (valid, name) in [
      (GGUFBuilder.valid.bytes, "model.gguf"), (FolderBuilder.valid.safetensors, "model.safetensors"),
    ] {
      for _ in 0..<40 {
        var bytes = valid
        for _ in 0...random.integer(below: 3) {
          // Most of what can go wrong stands in front of the weights.
          bytes[Int(random.integer(below: UInt64(min(bytes.count, 1600))))] = UInt8(truncatingIfNeeded: random.next())
        }
        try folder.write(bytes, name)
        do {
          _ = try ModelLoader.load(path: name == "model.gguf" ? "\(folder.path)/\(name)" : folder.path)
        } catch is InputError {}
      }
    }
  }

  static func expectRefused(_ path: String, file: String, naming named: String) {
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: path) }
    guard let error else { return }
    #expect(error.place.hasPrefix(file), "\(error) does not name the file")
    #expect(named.isEmpty || error.description.contains(named), "\(error) does not name \(named)")
  }
}
