import CCURL
import Foundation
import Support

/// One HTTP request by libcurl, from the calling thread, which waits for the answer.
///
/// Nothing hangs and nothing grows without bound: a connection takes 10 seconds at most, the whole request
/// `secondsMax`, and an answer of more than `byteCountMax` bytes ends it. Redirections are not followed, and only http
/// and https are spoken.
struct HTTPRequest {
  static let byteCountMax = 16 << 20

  var url: String
  /// nil asks with GET, else it is posted as JSON.
  var body: [UInt8]?
  var bearer: String?
  var secondsMax = 600

  /// The answer, whatever its status.
  /// - Throws: `InputError` when there is none.
  func perform() throws -> (status: Int, body: [UInt8]) {
    _ = Self.library
    guard let handle = curl_easy_init() else { fatalError("out of memory for a request") }
    defer { curl_easy_cleanup(handle) }
    let answer = Answer()
    var headers = curl_slist_append(nil, "Content-Type: application/json")
    if let bearer { headers = curl_slist_append(headers, "Authorization: Bearer \(bearer)") }
    // Without this, curl asks whether a large body is welcome before it sends it.
    headers = curl_slist_append(headers, "Expect:")
    defer { curl_slist_free_all(headers) }
    fovea_curl_set_text(handle, CURLOPT_URL, url)
    fovea_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https")
    fovea_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    fovea_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT, 10)
    fovea_curl_set_long(handle, CURLOPT_TIMEOUT, secondsMax)
    fovea_curl_set_pointer(handle, CURLOPT_HTTPHEADER, headers)
    fovea_curl_set_pointer(handle, CURLOPT_WRITEDATA, Unmanaged.passUnretained(answer).toOpaque())
    fovea_curl_set_writer(handle) { bytes, size, count, answer in
      guard let bytes, let answer else { return 0 }
      return Unmanaged<Answer>.fromOpaque(answer).takeUnretainedValue().append(bytes, size * count)
    }
    let code = withExtendedLifetime(answer) {
      guard let body else { return curl_easy_perform(handle) }
      return body.withUnsafeBytes { bytes in
        fovea_curl_set_long(handle, CURLOPT_POSTFIELDSIZE, bytes.count)
        fovea_curl_set_pointer(handle, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
        return curl_easy_perform(handle)
      }
    }
    guard code == CURLE_OK else {
      let reason =
        answer.isTooLong ? "more than \(Self.byteCountMax) bytes" : String(cString: curl_easy_strerror(code))
      throw InputError("ask a server", at: url, expected: "an answer", found: reason)
    }
    var status = 0
    fovea_curl_status(handle, &status)
    return (status, answer.bytes)
  }

  /// libcurl is initialised once, before the first thread uses it.
  private static let library = curl_global_init(Int(CURL_GLOBAL_DEFAULT))

  private final class Answer {
    var bytes: [UInt8] = []
    var isTooLong = false

    /// Returns what was taken; less than all ends the request.
    func append(_ pointer: UnsafePointer<CChar>, _ count: Int) -> Int {
      guard bytes.count + count <= HTTPRequest.byteCountMax else {
        isTooLong = true
        return 0
      }
      bytes.append(contentsOf: UnsafeRawBufferPointer(start: pointer, count: count))
      return count
    }
  }
}
