import Foundation
import Fuzzing

/// libFuzzer's way in: it calls this function with one input after another, and its own `main` does the rest.
///
/// FUZZ_TARGET names the target. deploy/fuzz builds and runs it; no other build has it (Package.swift).

private let target: FuzzTarget = {
  let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
  guard let target = FuzzTarget.named(name) else {
    let names = FuzzTarget.all.map(\.name).joined(separator: " ")
    FileHandle.standardError.write(Data("FUZZ_TARGET is \"\(name)\"; there are: \(names)\n".utf8))
    exit(2)
  }
  return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  target.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
  return 0
}
