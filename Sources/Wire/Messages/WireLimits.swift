/// The bounds of everything that arrives from a peer, in one place.
///
/// They are wide enough for any farm that makes sense and narrow enough that no frame makes a receiver trap or exhaust
/// its memory. Counters keep headroom, so that receivers may add one or sum over all peers without overflow.
public enum WireLimits {
  /// Bytes of one frame; ZeroMQ disconnects a peer that sends a longer one.
  public static let frameByteCountMax = 256 << 20
  /// Bytes of a frame on a socket that only takes requests for weights.
  public static let requestByteCountMax = 64 << 10

  /// Bytes of an identifier: names, hosts, run ids, endpoints, kinds, metric names.
  public static let nameByteCountMax = 1024
  /// Bytes of a line for people: reasons, activities, states.
  public static let lineByteCountMax = 64 << 10
  /// Bytes of a prompt, a reference answer or a sampled text.
  public static let textByteCountMax = 16 << 20

  public static let metricsMax = 4096
  public static let optionsMax = 256
  /// Named scores of a sample.
  public static let scoresMax = 256
  public static let messagesPerPromptMax = 1024
  public static let stopStringsMax = 256
  public static let rolloutsPerGroupMax = 4096
  public static let tokensPerSequenceMax = 1 << 20
  public static let groupsPerBatchMax = 1 << 16
  public static let peersMax = 1 << 16
  public static let waitsMax = 1 << 16

  public static let filesMax = 64
  public static let fileByteCountMax = 64 << 20
  public static let tensorsMax = 1 << 16
  public static let dimensionsMax = 8
  public static let payloadByteCountMax: UInt64 = 1 << 42
  public static let chunkByteCountMin: UInt32 = 1 << 10
  public static let chunkByteCountMax: UInt32 = 16 << 20
  public static let chunksPerRequestMax: UInt32 = 32

  /// Steps, slots, credits, threads.
  public static let countMax = UInt32(Int32.max)
  /// Policy versions, data cursors, totals.
  public static let totalMax: UInt64 = 1 << 47
  public static let heartbeatMillisecondsMax: UInt32 = 3_600_000

  /// Malformed frames after which a peer is ignored.
  public static let malformedFramesMax = 8
}
