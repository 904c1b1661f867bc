import Fundus
import Prompts
import Testing

/// Samples of one family.
private func samples(_ family: QuestionFamily, count: Int) -> [FundusSample] {
  let generator = FundusGenerator(families: [family], seed: 11)
  return (0..<count).map { generator.trainingSample(at: UInt64($0)) }
}

@Suite("Fundus questions")
struct QuestionTests {
  @Test("The answer is what the scene says, worked out anew", arguments: QuestionFamily.allCases)
  func truth(family: QuestionFamily) {
    for sample in samples(family, count: 300) {
      let expected = TruthOracle(sample).answer(family)
      #expect(sample.question.answer == expected, "\(sample.question.text)\n\(sample.question.reasoning)")
    }
  }

  @Test("Reasoning names every kind of lesion that is there and no other, and ends with the answer")
  func reasoning() {
    for family in QuestionFamily.allCases {
      for sample in samples(family, count: 100) {
        let reasoning = sample.question.reasoning
        #expect(reasoning.hasSuffix("\(sample.question.answer)."))
        guard reasoning.hasPrefix("I see") else { continue }
        let seen = reasoning.prefix { $0 != ":" && $0 != "." }
        for kind in LesionKind.allCases {
          #expect(seen.contains(kind.name) == (sample.scene.count(kind) > 0), "\(reasoning)")
        }
      }
    }
  }

  @Test("A caption names every kind that is there and no other, and the half that has all of one")
  func captions() {
    for sample in samples(.field, count: 50) + samples(.lesions, count: 50) {
      let (caption, scene) = (sample.scene.caption, sample.scene)
      for kind in LesionKind.allCases {
        #expect(caption.contains(kind.name) == (scene.count(kind) > 0), "\(caption)")
        for half in RetinaHalf.allCases {
          #expect(caption.contains("\(kind.name) in the \(half.rawValue) half") == (scene.half(of: kind) == half))
        }
      }
    }
  }

  @Test("Letters are balanced", arguments: QuestionFamily.allCases.filter { $0.type != .openEnded })
  func letters(family: QuestionFamily) {
    let samples = samples(family, count: 3000)
    let optionCount = samples[0].question.options.count
    var counts: [String: Int] = [:]
    for sample in samples {
      for letter in sample.question.answer.split(separator: ",") { counts[String(letter), default: 0] += 1 }
    }
    let mean = Double(counts.values.reduce(0, +)) / Double(optionCount)
    #expect(counts.count == optionCount)
    for (letter, count) in counts { #expect(abs(Double(count) - mean) < 0.12 * mean, "\(letter): \(counts)") }
  }

  @Test("Names are balanced", arguments: QuestionFamily.allCases.filter { $0.type == .openEnded })
  func names(family: QuestionFamily) {
    let counts = Dictionary(grouping: samples(family, count: 4000), by: \.question.answer).mapValues(\.count)
    let mean = 4000 / Double(counts.count)
    for (name, count) in counts { #expect(abs(Double(count) - mean) < 0.12 * mean, "\(name): \(counts)") }
  }

  @Test("Domains and question types are equally likely, and every family is asked")
  func mixture() {
    let generator = FundusGenerator(seed: 3)
    let families = (0..<4000).map { generator.trainingSample(at: $0).question.family }
    #expect((1880...2120).contains(families.count { $0.domain == .basic }))
    for type in [QuestionType.trueFalse, .singleChoice, .multipleChoice, .openEnded] {
      #expect((900...1100).contains(families.count { $0.type == type }), "\(type)")
    }
    #expect(Set(families) == Set(QuestionFamily.allCases))
  }

  @Test("Held-out scenes are the same for every seed, and training never draws their seeds")
  func heldOut() {
    let first = FundusGenerator(seed: 1)
    let second = FundusGenerator(seed: 2)
    var seeds: Set<UInt64> = []
    for index in 0..<FundusGenerator.heldOutCount {
      let sample = first.heldOutSample(at: index)
      #expect(sample == second.heldOutSample(at: index))
      #expect(sample.scene.seed >= FundusScene.heldOutSeeds)
      seeds.insert(sample.scene.seed)
    }
    #expect(seeds.count == FundusGenerator.heldOutCount)
    for cursor in UInt64(0)..<2000 {
      let sample = first.trainingSample(at: cursor)
      #expect(sample.scene.seed < FundusScene.heldOutSeeds)
      #expect(sample == first.trainingSample(at: cursor))
      #expect(sample.scene.seed != second.trainingSample(at: cursor).scene.seed)
    }
  }
}
