import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolderStore, type CheckpointStore } from '@infalign/checkpoint';
import { seededRandom } from '@infalign/core';
import { promptSetNames, type Prompt, type PromptSetName } from '@infalign/datasets';
import {
  initialWeights,
  trainTokenizer,
  type Head,
  type LanguageModelConfig,
  type Pretrained,
  type Weights,
} from '@infalign/language-model';
import { parseExperiment, type Experiment } from '@infalign/run-config';
import { openEmbeddedStream, type RolloutStream } from '@infalign/rollout-stream';
import { checkpointNames } from './experiment-steps.js';
import type { Prompts } from './run-requests.js';
import { storeModel } from './stored-model.js';
import { storeText } from './stored-text.js';

/** What a test says of the tiny experiment. */
export interface TinySettings {
  readonly partitions?: number;
  readonly maxStaleness?: number;
  readonly method?: string;
  readonly advantages?: Experiment['ppo']['advantages'];
  /** As the file has them. */
  readonly adapters?: string;
}

/** The steps of the tiny experiment that runs carry out; its policy is called {@link policyStep}. */
export const policyStep = 'runs/ppo-identity-kl-0.3-seed-1';

/** An experiment that takes a second. */
export function tinyExperiment(settings: TinySettings = {}): Experiment {
  const { partitions = 1, maxStaleness = 0, method = 'ppo/identity', advantages = 'leave_one_out' } = settings;
  const adapters = settings.adapters === undefined ? '' : `, adapters: ${settings.adapters}`;
  const text = `
name: tiny
dataset: { kind: state-of-the-union }
prompts: { tokens: 3, train: 4, calibration: 2, evaluation: 3 }
tokenizer: { vocabulary: 257 }
sampling: { max_response_tokens: 4, batch_rollouts: 12 }
calibration: { references: 4 }
runs: { methods: [${method}], target_kls: [0.3] }
procedures: [standard, bon:2]
ppo: { iterations: 3, prompts_per_iteration: 3, rollouts_per_prompt: 4, learning_rate: 0.01, max_staleness: ${maxStaleness}, advantages: ${advantages}${adapters} }
evaluation: { samples: 5 }
stream: { partitions: ${partitions} }
`;
  return parseExperiment(text, 'tiny.yaml');
}

/** So many prompts of each set. */
export function tinyPrompts(counts: Readonly<Record<PromptSetName, number>>): Prompts {
  const sets = promptSetNames.map((set): [PromptSetName, Prompt[]] => [
    set,
    Array.from({ length: counts[set] }, (_, index): Prompt => {
      const random = seededRandom('prompt', set, index);
      return { id: `${set}-${index}`, tokens: [0, 1, 2].map(() => 1 + random.integer(20)), text: `${set} ${index}` };
    }),
  ]);
  return Object.fromEntries(sets) as Record<PromptSetName, Prompt[]>;
}

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

/** A model whose outputs differ from one response to the next. */
export function tinyModel(head: Head, seed: number, change: Partial<LanguageModelConfig> = {}): Pretrained {
  const own = { ...config, ...change };
  const random = seededRandom('tiny-model', seed);
  const weights: Weights = new Map(
    [...initialWeights(own, [head], seed)].map(([name, { shape, data }]) => [
      name,
      { shape, data: shape.length > 1 ? data.map(() => 0.3 * random.normal()) : data },
    ]),
  );
  return { config: own, weights, tokenizerJson: tokenizer.toJson() };
}

/** A folder with a checkpoint store and a log, removed in the end. */
export interface TinyWorkplace {
  readonly folder: string;
  readonly store: CheckpointStore;
  /** Opens the log, closing it first where it is open. */
  open(partitions?: number): Promise<RolloutStream>;
  remove(): Promise<void>;
}

/** A workplace with the checkpoints that the runs of the tiny experiment begin with. */
export function tinyWorkplace(): TinyWorkplace {
  const folder = mkdtempSync(join(tmpdir(), 'pipeline-'));
  const checkpoints = join(folder, 'checkpoints');
  const place = (name: string): string => join(checkpoints, name);
  storeText(place(checkpointNames.text), {
    tokenizer,
    training: Uint16Array.of(1, 2, 3, 0),
    heldOut: Uint16Array.of(4, 0),
    prompts: tinyPrompts({ train: 4, reward: 1, judge: 1, calibration: 2, evaluation: 3, accuracy: 0 }),
    humanPairs: { reward: [], judge: [], heldOut: [] },
  });
  storeModel(place(checkpointNames.basePolicy), tinyModel('language-model', 1));
  storeModel(place(checkpointNames.rewardModel), tinyModel('reward', 2));
  storeModel(place(checkpointNames.judge), tinyModel('reward', 3, { hiddenSize: 24 }));
  const store = openFolderStore(checkpoints);
  let stream: RolloutStream | undefined;
  return {
    folder,
    store,
    async open(partitions = 1) {
      await stream?.close();
      stream = openEmbeddedStream(join(folder, 'log'), { partitions });
      return stream;
    },
    async remove() {
      await stream?.close();
      await store.close();
      rmSync(folder, { recursive: true });
    },
  };
}
