// The smallest experiment that has all there is: every service works on it within milliseconds.
import { join } from 'node:path';

/** Settings of the experiment file, over those of {@link experimentText}. */
export const tinyModel = {
  vocabSize: 257,
  hiddenSize: 16,
  intermediateSize: 16,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  maxPositions: 24,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
};

/**
 * The experiment file, as JSON, which is YAML.
 *
 * @param {string} name
 * @param {number} partitions of the stream
 * @param {Record<string, Record<string, unknown>>} changes to its sections
 */
export function experimentText(name, partitions, changes = {}) {
  const sections = {
    dataset: { kind: 'state-of-the-union' },
    prompts: { tokens: 4, train: 12, calibration: 4, evaluation: 6 },
    tokenizer: { vocabulary: 257 },
    model: {
      hidden_size: 16,
      intermediate_size: 16,
      layers: 1,
      heads: 2,
      key_value_heads: 1,
      context: 24,
      training: { window: 16 },
    },
    sampling: { max_response_tokens: 6, batch_rollouts: 32 },
    calibration: { references: 8 },
    runs: { methods: ['ppo/exp:5'], target_kls: [0.2] },
    procedures: ['standard', 'bon:2'],
    ppo: { iterations: 2, prompts_per_iteration: 6, rollouts_per_prompt: 2 },
    evaluation: { samples: 4 },
    stream: { partitions },
  };
  for (const [section, change] of Object.entries(changes)) {
    sections[section] = typeof change === 'object' ? { ...sections[section], ...change } : change;
  }
  return JSON.stringify({ name, seed: 1, ...sections });
}

/**
 * Stores what the steps before a run leave: text, base policy, reward model and judge, untrained.
 *
 * @param {string} folder of the experiment's checkpoints
 * @param {typeof tinyModel} [shape] of the models
 */
export async function storeTinyCheckpoints(folder, shape = tinyModel) {
  const { seededRandom } = await import('@infalign/core');
  const { initialWeights, trainTokenizer } = await import('@infalign/language-model');
  const { checkpointNames, storeModel, storeText } = await import('@infalign/pipeline');
  const tokenizer = trainTokenizer([], shape.vocabSize);
  const config = { ...shape, eosTokenId: tokenizer.endOfText };
  const prompts = (set, count) =>
    Array.from({ length: count }, (_, index) => {
      const random = seededRandom('prompt', set, index);
      const text = Array.from({ length: 4 }, () => String.fromCharCode(97 + random.integer(26))).join('');
      return { id: `${set}-${index}`, text, tokens: [...tokenizer.encode(text)] };
    });
  storeText(join(folder, checkpointNames.text), {
    tokenizer,
    training: new Uint16Array(64),
    heldOut: new Uint16Array(64),
    prompts: {
      train: prompts('train', 12),
      calibration: prompts('calibration', 4),
      evaluation: prompts('evaluation', 6),
      reward: [],
      judge: [],
    },
    humanPairs: { reward: [], judge: [] },
  });
  const model = (name, head, seed) => {
    const weights = [...initialWeights(config, [head], seed)].map(([weight, { shape, data }]) => {
      const random = seededRandom('weights', seed, weight);
      return [weight, { shape, data: shape.length > 1 ? data.map(() => 0.3 * random.normal()) : data }];
    });
    storeModel(join(folder, name), { config, weights: new Map(weights), tokenizerJson: tokenizer.toJson() });
  };
  model(checkpointNames.basePolicy, 'language-model', 1);
  model(checkpointNames.rewardModel, 'reward', 2);
  model(checkpointNames.judge, 'reward', 3);
}
