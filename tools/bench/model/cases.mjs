/** What is measured: a model's shape, and how it is trained and sampled. A sequence of training has T + 1 tokens: T are learned. */
export const cases = {
  small: {
    config: {
      vocabSize: 2048,
      hiddenSize: 128,
      intermediateSize: 352,
      layers: 4,
      heads: 4,
      keyValueHeads: 4,
      maxPositions: 128,
      ropeTheta: 10_000,
      rmsNormEpsilon: 1e-5,
      tieWordEmbeddings: true,
      eosTokenId: 0,
    },
    training: { sequences: 32, tokens: 96, steps: 4 },
    sampling: { prompts: 64, promptTokens: 48, newTokens: 48 },
  },
  medium: {
    config: {
      vocabSize: 4096,
      hiddenSize: 384,
      intermediateSize: 1024,
      layers: 6,
      heads: 6,
      keyValueHeads: 6,
      maxPositions: 160,
      ropeTheta: 10_000,
      rmsNormEpsilon: 1e-5,
      tieWordEmbeddings: true,
      eosTokenId: 0,
    },
    training: { sequences: 32, tokens: 128, steps: 1 },
    sampling: { prompts: 64, promptTokens: 64, newTokens: 64 },
  },
};
