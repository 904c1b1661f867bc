import ModelFiles
import Tensor
import Testing

/// Stored scalars become the fp32 numbers that the reference packages make of them.
@Suite struct StoredTensorTests {
  @Test("Every encoding decodes to the bits of the reference") func everyEncodingDecodesToTheBitsOfTheReference() throws
  {
    let file = try GGUFFile(path: "\(ModelFiles.fixtures)/dequantization.gguf")
    let expected = try ModelFiles.floats("dequantization.f32")
    #expect(Set(file.tensors.map(\.encoding)) == Set(TensorEncoding.allCases))
    var start = 0
    for tensor in file.tensors {
      #expect(tensor.name == "t.\(tensor.encoding.rawValue)")
      let values = tensor.decoded()
      #expect(
        ModelFiles.bits(values) == ModelFiles.bits(expected[start..<start + values.count]),
        "\(tensor.encoding.rawValue)")
      start += values.count
    }
    #expect(start == expected.count)
  }

  @Test("Every type of scalar is read from safetensors") func everyKindOfNumberIsReadFromSafetensors() throws {
    let tensors = try SafetensorsFile.tensors(path: "\(ModelFiles.fixtures)/values.safetensors")
    let expected = try ModelFiles.floats("values.f32")
    #expect(
      tensors.mapValues(\.shape) == [
        "f32": [13], "f16": [2, 2521], "bf16": [1, 5042, 1], "empty": [0, 4], "scalar": [],
      ])
    let values = try ["f32", "f16", "bf16", "scalar"].flatMap { try #require(tensors[$0]).decoded() }
    #expect(ModelFiles.bits(values) == ModelFiles.bits(expected))
    #expect(tensors["empty"]?.decoded() == [])
    #expect(expected.contains { $0.isNaN })
    #expect(expected.contains { $0.isSubnormal })
    #expect(expected.contains(-.infinity))
  }

  @Test(
    "Rounding to bf16 is to nearest even",
    arguments: [
      (1, 0x3F80), (-2.5, 0xC020), (0, 0), (-0.0, 0x8000), (.infinity, 0x7F80), (-.infinity, 0xFF80),
      (Float(bitPattern: 0x3F80_8000), 0x3F80),  // half way, to even below
      (Float(bitPattern: 0x3F81_8000), 0x3F82),  // half way, to even above
      (Float(bitPattern: 0x3F80_8001), 0x3F81), (Float(bitPattern: 0x3F80_7FFF), 0x3F80),
      (.greatestFiniteMagnitude, 0x7F80), (Float(bitPattern: 1), 0), (Float(bitPattern: 0x8001), 1),
    ] as [(Float, UInt16)])
  func roundingToBfloat16IsToNearestEven(value: Float, bits: UInt16) {
    #expect(value.bfloat16Bits == bits)
  }

  @Test("NaN stays NaN in bf16") func notANumberStaysOneInBfloat16() {
    for pattern: UInt32 in [0x7FC0_0000, 0x7F80_0001, 0xFFFF_FFFF, 0xFF80_0001] {
      let bits = Float(bitPattern: pattern).bfloat16Bits
      #expect(Float(bitPattern: UInt32(bits) << 16).isNaN)
      #expect(bits >> 15 == pattern >> 31)
    }
  }

  @Test("A shape whose bytes cannot be counted has no byte count") func aShapeWhoseBytesCannotBeCountedHasNoByteCount()
  {
    #expect(TensorEncoding.float32.byteCount(shape: [3, 4]) == 48)
    #expect(TensorEncoding.float32.byteCount(shape: []) == 4)
    #expect(TensorEncoding.q4_1.byteCount(shape: [2, 64]) == 80)
    #expect(TensorEncoding.q4_1.byteCount(shape: [64, 33]) == nil)
    #expect(TensorEncoding.q6_K.byteCount(shape: [1, 128]) == nil)
    #expect(TensorEncoding.float32.byteCount(shape: [-1, 4]) == nil)
    #expect(TensorEncoding.float32.byteCount(shape: [1 << 32, 1 << 32]) == nil)
    #expect(TensorEncoding.float32.byteCount(shape: [1 << 31, 1 << 31]) == nil)
  }

  @Test("Shards are read as one model") func shardsAreReadAsOneModel() throws {
    let tensors = try SafetensorsFile.tensors(folder: "\(ModelFiles.fixtures)/sharded")
    #expect(Set(tensors.values.map(\.encoding)) == [.float32, .float16, .bfloat16])
    let sums = tensors.mapValues { tensor in
      var values = tensor.decoded()
      return values.withUnsafeMutableBufferPointer { ModelFiles.checksum($0) }
    }
    #expect(try sums == ModelFiles.checksums("sharded/checksums.json"))
  }
}
