import Benchmarks
import Console
import Layers
import ModelFiles
import Support
import Tensor

/// `fovea bench engine`: rates of one model on this machine, as shares of the peak that the same run measured.
enum BenchCommand: Command {
  static let specification = CommandSpecification(
    "bench", "Measures rollouts, prefill, learner and whole steps of a model against this machine's peak.",
    options: [
      .option("model", "M", "A Hugging Face folder or a GGUF file.", required: true),
      .option("precision", "P", "bfloat16 (default) or float32."),
      .option("threads", "N", "Kernel threads. Default: all cores."),
      .option("only", "PART", "rollout, learner or step."),
      .option("batch", "N", "Rollouts of this batch only, of 64 and 64 tokens."),
      .flag("json", "Prints JSON, a row a line."),
    ],
    operands: .optional(name: "engine", summary: "What to measure; the engine is all there is."))

  static func run(_ arguments: ParsedArguments, host: ProcessHost) async throws -> ExitCode {
    guard arguments.operands.first ?? "engine" == "engine" else {
      throw UsageError("fovea bench measures \"engine\", not \"\(arguments.operands[0])\"")
    }
    let part = arguments["only"]
    guard part == nil || ["rollout", "learner", "step"].contains(part) else {
      throw UsageError("--only takes rollout, learner or step, not \"\(part!)\"")
    }
    let precision = try arguments.precision(default: .bfloat16)
    let pool = ThreadPool(threads: try arguments.threads())
    let model = try ModelLoader.load(path: arguments.required("model"))
    let peak = HardwarePeak(precision: precision, pool: pool)
    let table = BenchTable(json: arguments.has("json"), peak: peak, threads: pool.threadCount)
    table.header(precision: precision, threads: pool.threadCount)
    let benchmark = EngineBenchmark(
      config: model.description.config, parameters: model.parameters, precision: precision, pool: pool)
    let batch = try arguments.integer("batch", in: 1...4096)
    if part ?? "rollout" == "rollout" { try rollouts(benchmark, pool, batch: batch, table) }
    if part ?? "learner" == "learner" { learners(benchmark, table) }
    if part ?? "step" == "step" { try wholeStep(benchmark, table) }
    table.footer()
    return .success
  }

  private static func rollouts(
    _ benchmark: EngineBenchmark, _ pool: ThreadPool, batch only: Int?, _ table: BenchTable
  ) throws {
    let batches = only.map { [$0] } ?? [1, 8, 16, 32, 64]
    for arithmetic in RolloutPrecision.allCases {
      let (decoder, packing) = benchmark.decoder(arithmetic)
      table.row(packing)
      for pool in pool.threadCount == 1 ? [pool] : [ThreadPool(threads: 1), pool] {
        for batch in batches { table.row(benchmark.products(decoder, arithmetic, batch: batch, threads: pool)) }
      }
      let engine = benchmark.engine(decoder, slots: only ?? 64, positions: 256)
      for length in only == nil ? [64, 128] : [64] {
        for batch in batches {
          try benchmark.rollout(engine, arithmetic, batch: batch, prompt: length, tokens: length).forEach(table.row)
        }
      }
    }
  }

  private static func learners(_ benchmark: EngineBenchmark, _ table: BenchTable) {
    for (prompts, prompt, group, completion) in [(16, 1, 1, 128), (4, 64, 8, 64), (4, 512, 8, 64)] {
      table.row(benchmark.learner(prompts: prompts, prompt: prompt, group: group, completion: completion))
    }
    for checkpointing in [false, true] {
      table.row(
        benchmark.learner(
          prompts: 4, prompt: 64, group: 8, completion: 64, checkpointing: checkpointing, moments: .bfloat16))
    }
  }

  private static func wholeStep(_ benchmark: EngineBenchmark, _ table: BenchTable) throws {
    let decoder = benchmark.decoder().0
    let engine = benchmark.engine(decoder, slots: 32, positions: 128)
    table.row(
      try benchmark.wholeStep(
        decoder, engine, benchmark.learnerSession(), prompts: 4, prompt: 64, group: 8, completion: 64))
  }
}

/// The table as text, or as JSON lines.
private final class BenchTable {
  let json: Bool
  /// The peak of all `threads` threads.
  let peak: HardwarePeak
  let threads: Int
  private let output = TerminalOutput()
  private var most = 0

  init(json: Bool, peak: HardwarePeak, threads: Int) {
    self.json = json
    self.peak = peak
    self.threads = threads
  }

  /// A row's share of the peak of the threads that it ran on.
  private func share(_ row: EngineBenchmark.Row) -> Double {
    row.gigaflops / (peak.gigaflops(row.arithmetic) * Double(row.threads ?? threads) / Double(threads))
  }

  func header(precision: Precision, threads: Int) {
    let set = InstructionSet.active.rawValue
    guard !json else {
      return write([
        "threads": .integer(Int64(threads)), "precision": .string(precision.rawValue), "instructions": .string(set),
        "peak_gigaflops": .number(peak.gigaflops), "peak_int8_gigaops": .number(peak.int8Gigaops),
        "memory_gigabytes_per_second": .number(peak.gigabytesPerSecond),
      ])
    }
    output.write(
      "\(threads) threads, \(precision.rawValue), \(set); measured peak \(rounded(peak.gigaflops)) GFLOP/s, "
        + "int8 \(rounded(peak.int8Gigaops)) GOP/s, memory \(rounded(peak.gigabytesPerSecond)) GB/s\n")
    line("", "tokens/s", "GFLOP/s", "of peak", "of memory", "seconds", "peak MiB")
  }

  func row(_ row: EngineBenchmark.Row) {
    most = max(most, row.peakByteCount ?? 0)
    guard !json else {
      return write([
        "name": .string(row.name), "tokens": .integer(Int64(row.tokens)), "seconds": .number(row.seconds),
        "tokens_per_second": .number(row.tokensPerSecond), "gigaflops": .number(row.gigaflops),
        "share_of_peak": .number(share(row)),
        "peak_memory_bytes": row.peakByteCount.map { .integer(Int64($0)) } ?? .null,
        "share_of_memory": row.gigabytesPerSecond.map { .number($0 / peak.gigabytesPerSecond) } ?? .null,
      ])
    }
    let computes = row.operations > 0
    line(
      row.name, rounded(row.tokensPerSecond), computes ? rounded(row.gigaflops) : "",
      computes ? rounded(100 * share(row)) + " %" : "",
      row.gigabytesPerSecond.map { rounded(100 * $0 / peak.gigabytesPerSecond) + " %" } ?? "",
      "\((row.seconds * 1000).rounded() / 1000)", row.peakByteCount.map { "\($0 >> 20)" } ?? "")
  }

  func footer() {
    let bytes = max(most, ProcessMemory.peakByteCount)
    guard !json else { return write(["peak_memory_bytes": .integer(Int64(bytes))]) }
    output.write("peak memory \(bytes >> 20) MiB\n")
  }

  private func line(_ name: String, _ columns: String...) {
    let cells = columns.map { String(repeating: " ", count: max(1, 12 - $0.count)) + $0 }
    output.write(name + String(repeating: " ", count: max(1, 52 - name.count)) + cells.joined() + "\n")
  }

  private func write(_ fields: [String: JSON]) {
    output.write(String(decoding: JSON.object(fields).serialized(), as: UTF8.self) + "\n")
  }

  private func rounded(_ value: Double) -> String {
    value >= 100 ? "\(Int(value.rounded()))" : "\((value * 10).rounded() / 10)"
  }
}
