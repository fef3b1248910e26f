import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError, seededRandom } from '@infalign/core';
import { Purpose, type DeadLetter, type SampledRollout, type ScoredRollout } from '@infalign/contracts';
import { createLanguageModel, initialWeights, type LanguageModelConfig } from '@infalign/language-model';
import {
  deadLetterTopic,
  openEmbeddedStream,
  outgoing,
  runToQuiescence,
  stageWorker,
  topics,
  type RolloutStream,
  type Topic,
} from '@infalign/rollout-stream';
import type { RunScorers, Scorer } from './batch.js';
import { scoringStage, type ScoringStageOptions } from './pipeline.js';

/** Wide enough for the last bits of its results to depend on how many sequences are computed together. */
const config: LanguageModelConfig = {
  vocabSize: 40,
  hiddenSize: 32,
  intermediateSize: 48,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  maxPositions: 16,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};

/** A reward model that tells responses apart. */
export function scorer(name: string, seed: number, change: Partial<LanguageModelConfig> = {}): Scorer {
  const own = { ...config, ...change };
  const random = seededRandom('scorer', seed);
  const weights = new Map(
    [...initialWeights(own, ['reward'], seed)].map(([weight, { shape, data }]) => [
      weight,
      { shape, data: shape.length > 1 ? data.map(() => 0.3 * random.normal()) : data },
    ]),
  );
  return { name, version: `version-${seed}`, model: createLanguageModel(own, weights) };
}

/** A rollout in a batch of its own. */
export function rollout(promptId: string, sampleIndex: number, change: Partial<SampledRollout> = {}): SampledRollout {
  const random = seededRandom('rollout', promptId, sampleIndex);
  const responseTokens = Array.from({ length: 1 + random.integer(9) }, () => random.integer(40));
  const rolloutId = `run/${promptId}/0/${sampleIndex}`;
  return {
    rolloutId,
    runId: 'run',
    promptId,
    purpose: Purpose.PURPOSE_TRAINING,
    policyVersion: 0,
    sampleIndex,
    seed: 1,
    promptTokens: [1, 2, 3],
    responseTokens,
    logProbs: responseTokens.map(() => -1),
    ended: false,
    temperature: 1,
    batchId: rolloutId,
    batchRollouts: 1,
    ...change,
  };
}

/** Rollouts that were decoded together. */
export function batch(batchId: string, ...rollouts: readonly SampledRollout[]): SampledRollout[] {
  return rollouts.map((one) => ({ ...one, batchId, batchRollouts: rollouts.length }));
}

/** A reward-scorer over a stream in a folder of its own. */
export interface Scoring {
  readonly stream: RolloutStream;
  /** Appends rollouts in one transaction, and scores until there is nothing left to do. */
  score(rollouts: readonly SampledRollout[]): Promise<void>;
  scored(): Promise<ScoredRollout[]>;
  deadLetters(): Promise<DeadLetter[]>;
  remove(): Promise<void>;
}

/** Opens a scorer that knows the given runs. */
export function openScoring(runs: Readonly<Record<string, RunScorers>>, partitions = 1): Scoring {
  const scorers: ScoringStageOptions['scorers'] = (runId) => {
    const known = runs[runId];
    return known ? Promise.resolve(known) : Promise.reject(new InputError(`Run ${runId} is unknown.`));
  };
  const folder = mkdtempSync(join(tmpdir(), 'scoring-'));
  const stream = openEmbeddedStream(folder, { partitions });
  return {
    stream,
    async score(rollouts) {
      await stream.append(rollouts.map((one) => outgoing(topics.rolloutSampled, one)));
      const worker = await stageWorker(stream, scoringStage({ scorers }));
      try {
        await runToQuiescence([worker]);
      } finally {
        await worker.close();
      }
    },
    scored: () => all(stream, topics.rolloutScored),
    deadLetters: () => all(stream, deadLetterTopic(topics.rolloutSampled)),
    async remove() {
      await stream.close();
      rmSync(folder, { recursive: true });
    },
  };
}

async function all<T>(stream: RolloutStream, topic: Topic<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const { value } of stream.readAll(topic)) values.push(value);
  return values;
}
