import CProtobufC
import CWire
import Glibc
import Prompts

/// The memory behind the C structs of one message while it is encoded, freed all at once afterwards.
///
/// The encoder keeps the arena alive until the bytes are packed.
final class EncodingArena {
  private var blocks: [UnsafeMutableRawPointer] = []

  deinit {
    for block in blocks { free(block) }
  }

  private func allocate<T>(_ type: T.Type, count: Int) -> UnsafeMutablePointer<T> {
    let byteCount = max(1, count * MemoryLayout<T>.stride)
    guard let block = malloc(byteCount) else { fatalError("out of memory for \(byteCount) bytes") }
    blocks.append(block)
    return block.bindMemory(to: T.self, capacity: max(1, count))
  }

  func place<T>(_ value: T) -> UnsafeMutablePointer<T> {
    let pointer = allocate(T.self, count: 1)
    pointer.initialize(to: value)
    return pointer
  }

  /// A copy of an array of scalars or C structs; nil when it is empty.
  func array<T>(_ values: [T]) -> UnsafeMutablePointer<T>? {
    if values.isEmpty { return nil }
    let pointer = allocate(T.self, count: values.count)
    pointer.initialize(from: values, count: values.count)
    return pointer
  }

  /// An array of pointers to submessages, as protobuf-c wants repeated ones.
  func pointers<T>(_ values: [UnsafeMutablePointer<T>]) -> UnsafeMutablePointer<UnsafeMutablePointer<T>?>? {
    array(values.map(Optional.some))
  }

  func bytes(_ values: [UInt8]) -> ProtobufCBinaryData { ProtobufCBinaryData(len: values.count, data: array(values)) }

  func text(_ value: String) -> ProtobufCBinaryData { bytes(Array(value.utf8)) }

  func images(_ images: [PromptImage]) -> UnsafeMutablePointer<ProtobufCBinaryData>? {
    array(images.map { bytes($0.bytes) })
  }

  /// An absent version is a null pointer.
  func version(_ version: PolicyVersion?) -> UnsafeMutablePointer<Fovea__Version>? {
    guard let version else { return nil }
    var m = Fovea__Version()
    fovea__version__init(&m)
    m.value = version.value
    return place(m)
  }

  /// Sorted by name, so that equal messages have equal bytes.
  func named(_ values: [String: Double]) -> UnsafeMutablePointer<UnsafeMutablePointer<Fovea__NamedNumber>?>? {
    pointers(
      values.sorted { $0.key < $1.key }.map { name, value in
        var m = Fovea__NamedNumber()
        fovea__named_number__init(&m)
        m.name = text(name)
        m.value = value
        return place(m)
      })
  }

  /// Sorted by name.
  func named(_ values: [String: [UInt8]]) -> UnsafeMutablePointer<UnsafeMutablePointer<Fovea__NamedText>?>? {
    pointers(
      values.sorted { $0.key < $1.key }.map { name, value in
        var m = Fovea__NamedText()
        fovea__named_text__init(&m)
        m.name = text(name)
        m.value = bytes(value)
        return place(m)
      })
  }
}
