/** How much is measured: what the committed results are of. All numbers are at least 1. */
export const settings = {
  /** Of the experiment's calibration prompts, which nothing was trained on; all, where there are fewer. */
  prompts: 48,
  /** Numbers of references, ascending. */
  references: [8, 16, 32, 100, 300],
  /** Other rollouts of a prompt, that its true calibrated rewards are taken from. */
  manyRollouts: 1000,
  /** Rollouts of a prompt whose rewards are calibrated. */
  calibratedRollouts: 64,
  /** Prompts on which sampling and scoring of so many references are timed. */
  timedPrompts: 8,
  training: { epochs: 3, batch: 64, learningRate: 3e-4 },
  drift: {
    prompts: 24,
    /** References of a prompt that make its distribution. */
    window: 100,
    /** References that arrive together, and how often: what is in the largest number of references at most. */
    round: 25,
    rounds: 8,
    manyRollouts: 500,
    temperature: 0.7,
  },
  efficiency: {
    prompts: 24,
    prefixes: {
      /** First tokens of a response that are known, as far as responses are longer. */
      tokens: [3, 6, 10, 14, 17, 19],
      /** Responses of a prompt that are begun anew after these, and how often each. */
      rootsPerPrompt: 4,
      continuations: 48,
    },
    /** λ of the regression of rewards on tokens. */
    ridge: 5,
    /** Levels of calibrated reward whose mean log-ratio is taken out. */
    bins: 20,
    /** Rollouts of a prompt by each policy that is measured. */
    rollouts: 64,
    procedures: ['standard', 'bon:4', 'won:4'],
    /** Measurements at most until the bias has the KL of the runs, and how far from it, relatively, it may be. */
    bias: { rounds: 5, tolerance: 0.02 },
  },
  logitBias: {
    kls: [0.5, 1],
    /** Beside the identity. */
    transformations: ['log', 'exp:5', 'exp:10', 'exp:-5'],
    ridge: 5,
    rollouts: 64,
    procedures: ['standard', 'bon:4', 'won:4'],
    bias: { rounds: 6, tolerance: 0.005 },
  },
};
