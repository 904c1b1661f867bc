import Glibc

/// The memory of this process.
public enum ProcessMemory {
  /// The most that was resident since the start or the last `resetPeak`, in bytes; files that are mapped count.
  public static var peakByteCount: Int {
    guard let bytes = try? Files.read("/proc/self/status", operation: "read memory", byteCountMax: 1 << 20),
      let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
      let kibibytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({ Int($0) })
    else { return 0 }
    return kibibytes * 1024
  }

  /// Makes what is resident now the peak. Without permission the peak stays as it is, which only makes it larger.
  public static func resetPeak() {
    guard let file = fopen("/proc/self/clear_refs", "w") else { return }
    fputs("5", file)
    fclose(file)
  }
}
