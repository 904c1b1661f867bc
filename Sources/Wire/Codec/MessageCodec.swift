import CProtobufC
import CWire
import Glibc

/// The only bridge between `Message` and its bytes, an `Envelope` of `farm.proto`.
///
/// Bytes from a socket never trap: protobuf-c parses them within a budget of memory, and every field is then checked
/// against `WireLimits` before it becomes a value. Each message encodes and decodes itself side by side in this folder.
public enum MessageCodec {
  /// The frame of a message. Equal messages give equal bytes.
  public static func encode(_ message: Message) -> [UInt8] {
    withEnvelope(message) { envelope in
      [UInt8](unsafeUninitializedCapacity: fovea__envelope__get_packed_size(&envelope)) { buffer, count in
        count = fovea__envelope__pack(&envelope, buffer.baseAddress)
      }
    }
  }

  /// The frame of a message, ready for a socket.
  static func encodeFrame(_ message: Message) -> ZeroMQFrame {
    withEnvelope(message) { envelope in
      let frame = ZeroMQFrame(byteCount: fovea__envelope__get_packed_size(&envelope))
      _ = fovea__envelope__pack(&envelope, frame.bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
      return frame
    }
  }

  /// The C structs of a message for the time of `body`. The bytes of a weights chunk are packed from where they lie.
  private static func withEnvelope<R>(_ message: Message, _ body: (inout Fovea__Envelope) -> R) -> R {
    let arena = EncodingArena()
    return withExtendedLifetime(arena) {
      var envelope = Fovea__Envelope()
      fovea__envelope__init(&envelope)
      fill(&envelope, with: message, in: arena)
      guard case .chunk(let chunk) = message else { return body(&envelope) }
      return chunk.bytes.withUnsafeBufferPointer { bytes in
        envelope.chunk.pointee.bytes.len = bytes.count
        envelope.chunk.pointee.bytes.data = UnsafeMutablePointer(mutating: bytes.baseAddress)
        return body(&envelope)
      }
    }
  }

  private static func fill(_ envelope: inout Fovea__Envelope, with message: Message, in arena: EncodingArena) {
    switch message {
    case .hello(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_HELLO
      envelope.hello = m.encoded(in: arena)
    case .heartbeat(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_HEARTBEAT
      envelope.heartbeat = m.encoded(in: arena)
    case .groupResult(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_GROUP_RESULT
      envelope.group_result = m.encoded(in: arena)
    case .leaseReturned(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_LEASE_RETURNED
      envelope.lease_returned = m.encoded(in: arena)
    case .stepCompleted(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_STEP_COMPLETED
      envelope.step_completed = m.encoded(in: arena)
    case .goodbye(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_GOODBYE
      envelope.goodbye = m.encoded(in: arena)
    case .statusRequest:
      envelope.body_case = FOVEA__ENVELOPE__BODY_STATUS_REQUEST
      var m = Fovea__StatusRequest()
      fovea__status_request__init(&m)
      envelope.status_request = arena.place(m)
    case .welcome(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_WELCOME
      envelope.welcome = m.encoded(in: arena)
    case .refused(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_REFUSED
      envelope.refused = m.encoded(in: arena)
    case .policyAnnounced(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_POLICY_ANNOUNCED
      envelope.policy_announced = m.encoded(in: arena)
    case .lease(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_LEASE
      envelope.lease = m.encoded(in: arena)
    case .resultAcknowledged(let lease):
      envelope.body_case = FOVEA__ENVELOPE__BODY_RESULT_ACKNOWLEDGED
      var m = Fovea__ResultAcknowledged()
      fovea__result_acknowledged__init(&m)
      m.lease = lease.value
      envelope.result_acknowledged = arena.place(m)
    case .trainBatch(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_TRAIN_BATCH
      envelope.train_batch = m.encoded(in: arena)
    case .evaluated(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_EVALUATED
      envelope.evaluated = m.encoded(in: arena)
    case .statusReport(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_STATUS_REPORT
      envelope.status_report = m.encoded(in: arena)
    case .manifestRequest(let part):
      envelope.body_case = FOVEA__ENVELOPE__BODY_MANIFEST_REQUEST
      var m = Fovea__ManifestRequest()
      fovea__manifest_request__init(&m)
      m.part = part.encoded
      envelope.manifest_request = arena.place(m)
    case .manifest(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_MANIFEST
      envelope.manifest = m.encoded(in: arena)
    case .chunkRequest(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_CHUNK_REQUEST
      envelope.chunk_request = m.encoded(in: arena)
    case .chunk(let m):
      envelope.body_case = FOVEA__ENVELOPE__BODY_CHUNK
      envelope.chunk = m.encoded(in: arena)
    }
  }

  /// The message of a frame.
  ///
  /// - Throws: `InputError` naming the field that is missing, unknown or out of bounds.
  public static func decode(_ bytes: [UInt8]) throws -> Message {
    try bytes.withUnsafeBytes { try decode($0) }
  }

  /// The message of a frame that lies in memory; nothing of it is kept.
  public static func decode(_ bytes: UnsafeRawBufferPointer) throws -> Message {
    guard bytes.count <= WireLimits.frameByteCountMax else {
      throw Field.failure(
        "frame", expected: "at most \(WireLimits.frameByteCountMax) bytes", found: "\(bytes.count) bytes")
    }
    // A submessage of two bytes costs a hundred in memory, an array of numbers no more than twice its bytes.
    var budget = ParsingBudget(remaining: 64 << 20 + 4 * bytes.count)
    return try withUnsafeMutablePointer(to: &budget) { budget in
      var allocator = ProtobufCAllocator(
        alloc: { budget, byteCount in
          let budget = budget!.assumingMemoryBound(to: ParsingBudget.self)
          guard byteCount <= budget.pointee.remaining else { return nil }
          budget.pointee.remaining -= byteCount
          return malloc(byteCount)
        },
        free: { _, block in free(block) },
        allocator_data: budget)
      let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      guard let envelope = fovea__envelope__unpack(&allocator, bytes.count, start) else {
        throw Field.failure("frame", expected: "an Envelope", found: "\(bytes.count) bytes that do not parse as one")
      }
      defer { fovea__envelope__free_unpacked(envelope, &allocator) }
      return try message(of: envelope.pointee)
    }
  }

  private static func message(of envelope: Fovea__Envelope) throws -> Message {
    switch envelope.body_case {
    case FOVEA__ENVELOPE__BODY_HELLO: .hello(try Hello(Field.required(envelope.hello, "hello")))
    case FOVEA__ENVELOPE__BODY_HEARTBEAT: .heartbeat(try Heartbeat(Field.required(envelope.heartbeat, "heartbeat")))
    case FOVEA__ENVELOPE__BODY_GROUP_RESULT:
      .groupResult(try GroupResult(Field.required(envelope.group_result, "group_result")))
    case FOVEA__ENVELOPE__BODY_LEASE_RETURNED:
      .leaseReturned(try LeaseReturned(Field.required(envelope.lease_returned, "lease_returned")))
    case FOVEA__ENVELOPE__BODY_STEP_COMPLETED:
      .stepCompleted(try StepCompleted(Field.required(envelope.step_completed, "step_completed")))
    case FOVEA__ENVELOPE__BODY_GOODBYE: .goodbye(try Goodbye(Field.required(envelope.goodbye, "goodbye")))
    case FOVEA__ENVELOPE__BODY_STATUS_REQUEST: .statusRequest
    case FOVEA__ENVELOPE__BODY_WELCOME: .welcome(try Welcome(Field.required(envelope.welcome, "welcome")))
    case FOVEA__ENVELOPE__BODY_REFUSED: .refused(try Refused(Field.required(envelope.refused, "refused")))
    case FOVEA__ENVELOPE__BODY_POLICY_ANNOUNCED:
      .policyAnnounced(try PolicyAnnounced(Field.required(envelope.policy_announced, "policy_announced")))
    case FOVEA__ENVELOPE__BODY_LEASE: .lease(try Lease(Field.required(envelope.lease, "lease")))
    case FOVEA__ENVELOPE__BODY_RESULT_ACKNOWLEDGED:
      .resultAcknowledged(LeaseID(try Field.required(envelope.result_acknowledged, "result_acknowledged").lease))
    case FOVEA__ENVELOPE__BODY_TRAIN_BATCH:
      .trainBatch(try TrainBatch(Field.required(envelope.train_batch, "train_batch")))
    case FOVEA__ENVELOPE__BODY_EVALUATED: .evaluated(try Evaluated(Field.required(envelope.evaluated, "evaluated")))
    case FOVEA__ENVELOPE__BODY_STATUS_REPORT:
      .statusReport(try FarmStatus(Field.required(envelope.status_report, "status_report")))
    case FOVEA__ENVELOPE__BODY_MANIFEST_REQUEST:
      .manifestRequest(
        try WeightsPart(Field.required(envelope.manifest_request, "manifest_request").part, "manifest_request.part"))
    case FOVEA__ENVELOPE__BODY_MANIFEST: .manifest(try WeightsManifest(Field.required(envelope.manifest, "manifest")))
    case FOVEA__ENVELOPE__BODY_CHUNK_REQUEST:
      .chunkRequest(try ChunkRequest(Field.required(envelope.chunk_request, "chunk_request")))
    case FOVEA__ENVELOPE__BODY_CHUNK: .chunk(try WeightsChunk(Field.required(envelope.chunk, "chunk")))
    default: throw Field.failure("envelope", expected: "a known message", found: "none")
    }
  }
}

/// Bytes that protobuf-c may still allocate for one frame.
private struct ParsingBudget {
  var remaining: Int
}
