import Glibc

/// Endpoints as ZeroMQ writes them: tcp://HOST:PORT, ipc://PATH.
public enum Endpoint {
  /// Whether bytes to or from there stay on this machine. Only numbers and well-known names count: what a name server
  /// says does not.
  public static func staysOnThisMachine(_ endpoint: String) -> Bool {
    if endpoint.hasPrefix("ipc://") || endpoint.hasPrefix("inproc://") { return true }
    guard endpoint.hasPrefix("tcp://"), var host = endpoint.dropFirst(6).split(separator: ";").last,
      let colon = host.lastIndex(of: ":")
    else { return false }
    host = host[..<colon]
    if ["localhost", "lo", "[::1]"].contains(host) { return true }
    var address = in_addr()
    return inet_pton(AF_INET, String(host), &address) == 1 && UInt32(bigEndian: address.s_addr) >> 24 == 127
  }

  /// What to connect to, where a socket listens on all addresses of a machine.
  public static func replacingWildcard(_ endpoint: String, by host: String) -> String {
    for wildcard in ["tcp://0.0.0.0:", "tcp://[::]:"] where endpoint.hasPrefix(wildcard) {
      return "tcp://\(host):" + endpoint.dropFirst(wildcard.count)
    }
    return endpoint
  }
}
