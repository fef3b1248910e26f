import { join } from 'node:path';
import { seededRandom } from '@infalign/core';
import { promptSetNames, type Prompt, type PromptSetName } from '@infalign/datasets';
import {
  initialWeights,
  trainTokenizer,
  type Head,
  type LanguageModelConfig,
  type Weights,
} from '@infalign/language-model';
import { checkpointNames, storeModel, storeText } from '@infalign/pipeline';

/** Of every topic. */
export const partitions = 3;

/** Where the checkpoints lie in the store. */
export const checkpoints = 'tiny';

/** The file of an experiment that takes a second. */
export function experimentText(name: string, iterations = 2): string {
  return `
name: ${name}
dataset: { kind: state-of-the-union }
prompts: { tokens: 3, train: 6, calibration: 2, evaluation: 3 }
tokenizer: { vocabulary: 257 }
sampling: { max_response_tokens: 4, batch_rollouts: 12 }
calibration: { references: 4 }
runs: { methods: ['ppo/exp:5'], target_kls: [0.3] }
procedures: [standard, bon:2]
ppo: { iterations: ${iterations}, prompts_per_iteration: 3, rollouts_per_prompt: 4, learning_rate: 0.01 }
evaluation: { samples: 5 }
stream: { partitions: ${partitions} }
`;
}

/** The step of such an experiment that trains its policy. */
export const policyStep = 'runs/ppo-exp-5-kl-0.3-seed-1';

const tokenizer = trainTokenizer(['nothing to merge'], 257);

const config: LanguageModelConfig = {
  vocabSize: tokenizer.vocabSize,
  hiddenSize: 16,
  intermediateSize: 24,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  maxPositions: 12,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: tokenizer.endOfText,
};

/** Stores what such experiments begin with: text, and three models that tell responses apart. */
export function storeTinyCheckpoints(store: string): void {
  const place = (name: string): string => join(store, checkpoints, name);
  storeText(place(checkpointNames.text), {
    tokenizer,
    training: Uint16Array.of(1, 2, 3, 0),
    heldOut: Uint16Array.of(4, 0),
    prompts: prompts({ train: 6, reward: 0, judge: 0, calibration: 2, evaluation: 3, accuracy: 0 }),
    humanPairs: { reward: [], judge: [], heldOut: [] },
  });
  const model = (name: string, head: Head, seed: number): void => {
    storeModel(place(name), { config, weights: weights(head, seed), tokenizerJson: tokenizer.toJson() });
  };
  model(checkpointNames.basePolicy, 'language-model', 1);
  model(checkpointNames.rewardModel, 'reward', 2);
  model(checkpointNames.judge, 'reward', 3);
}

function weights(head: Head, seed: number): Weights {
  const random = seededRandom('tiny-model', seed);
  return new Map(
    [...initialWeights(config, [head], seed)].map(([name, { shape, data }]) => [
      name,
      { shape, data: shape.length > 1 ? data.map(() => 0.3 * random.normal()) : data },
    ]),
  );
}

function prompts(counts: Readonly<Record<PromptSetName, number>>): Record<PromptSetName, Prompt[]> {
  const sets = promptSetNames.map((set) => [
    set,
    Array.from({ length: counts[set] }, (_, index): Prompt => {
      const random = seededRandom('prompt', set, index);
      return { id: `${set}-${index}`, tokens: [0, 1, 2].map(() => 1 + random.integer(20)), text: `${set} ${index}` };
    }),
  ]);
  return Object.fromEntries(sets) as Record<PromptSetName, Prompt[]>;
}
