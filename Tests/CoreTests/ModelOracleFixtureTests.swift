import Testing

@Suite struct ModelOracleFixtureTests {
  @Test(arguments: TinyModel.allCases)
  func everyTinyModelHasTheParametersOfItsConfiguration(_ model: TinyModel) throws {
    _ = try model.parameters()
    for (tokens, logits) in try model.expected() { #expect(logits.count == tokens.count * 96) }
  }

  @Test func theTrainingStepHasBothClipSidesActive() {
    #expect(ModelOracle.trainingStep.cases.count == 4)
    for expected in ModelOracle.trainingStep.cases {
      #expect(expected.clippedLow > 0 && expected.clippedHigh > 0 && expected.importanceCapped > 0)
    }
    #expect(ModelOracle.defaultModel.cases.count == 20)
  }
}
