import Testing

@Suite struct ModelOracleFixtureTests {
  @Test("Every tiny model has the parameters of its configuration", arguments: TinyModel.allCases)
  func everyTinyModelHasTheParametersOfItsConfiguration(_ model: TinyModel) throws {
    _ = try model.parameters()
    for (tokens, logits) in try model.expected() { #expect(logits.count == tokens.count * 96) }
  }

  @Test("The training step has both clip sides active") func theTrainingStepHasBothClipSidesActive() {
    #expect(ModelOracle.trainingStep.cases.count == 4)
    for expected in ModelOracle.trainingStep.cases {
      #expect(expected.clippedLow > 0)
      #expect(expected.clippedHigh > 0)
      #expect(expected.importanceCapped > 0)
    }
    #expect(ModelOracle.defaultModel.cases.count == 20)
  }
}
