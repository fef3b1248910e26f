const smolLm2 = {
  vocabSize: 49_152,
  hiddenSize: 576,
  intermediateSize: 1536,
  layers: 30,
  heads: 9,
  keyValueHeads: 3,
  maxPositions: 256,
  ropeTheta: 100_000,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};

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
  smollm2: {
    config: smolLm2,
    training: { sequences: 8, tokens: 128, steps: 1 },
    sampling: { prompts: 64, promptTokens: 32, newTokens: 32 },
  },
  'smollm2-large': {
    config: smolLm2,
    training: { sequences: 64, tokens: 128, steps: 1 },
    sampling: { prompts: 512, promptTokens: 32, newTokens: 32 },
  },
};
