import CKernels
import Support

/// The instruction set of the kernels.
public enum InstructionSet: String, Sendable, CaseIterable {
  case portable, neon, avx2, avxvnni, avx512, avx512vnni, avx512bf16

  private var c: fv_isa {
    switch self {
    case .portable: fv_portable
    case .neon: fv_neon
    case .avx2: fv_avx2
    case .avxvnni: fv_avxvnni
    case .avx512: fv_avx512
    case .avx512vnni: fv_avx512vnni
    case .avx512bf16: fv_avx512bf16
    }
  }

  /// The one in use.
  public static var active: InstructionSet {
    InstructionSet(rawValue: String(cString: fv_isa_name(fv_isa_active()))) ?? .portable
  }

  /// Whether this processor can run it.
  public var isSupported: Bool { fv_isa_supported(c) != 0 }

  /// Uses this instruction set from now on; false when the processor cannot run it.
  @discardableResult public func force() -> Bool { fv_isa_force(c) != 0 }

  /// Checks the environment's `FOVEA_ISA`, which the kernels follow when it names an instruction set of this processor.
  ///
  /// - Throws: `InputError` when it names none, so that a benchmark never measures another one than was asked for.
  public static func checkEnvironment(_ wish: String?) throws {
    guard let wish, InstructionSet(rawValue: wish)?.isSupported != true else { return }
    let names = allCases.filter(\.isSupported).map(\.rawValue).joined(separator: ", ")
    throw InputError("choose an instruction set", at: "FOVEA_ISA", expected: "one of \(names)", found: wish)
  }
}
