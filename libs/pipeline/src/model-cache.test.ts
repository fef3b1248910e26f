import '@tensorflow/tfjs-node';
import { memory } from '@tensorflow/tfjs-core';
import { StoreUnavailable, type Checkpoint, type CheckpointStore } from '@infalign/checkpoint';
import type { CheckpointReference } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import type { LanguageModel } from '@infalign/language-model';
import { pretrainedFiles } from '@infalign/language-model';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createModelCache, type ModelCache } from './model-cache.js';
import { tinyModel, tinyWorkplace, type TinyWorkplace } from './tiny-experiment.fixture.js';

let workplace: TinyWorkplace;
let references: CheckpointReference[];
/** The names of the checkpoints that were read, in order. */
let reads: string[];
let store: CheckpointStore;
let tensors: number;
const caches: ModelCache[] = [];

beforeEach(async () => {
  workplace = tinyWorkplace();
  references = [];
  reads = [];
  for (const seed of [0, 1, 2, 3]) {
    const name = `models/${seed}`;
    const contentHash = await workplace.store.publish(name, pretrainedFiles(tinyModel('reward', seed)), null);
    references.push({ name, contentHash });
  }
  store = {
    ...workplace.store,
    read(name, expectedHash) {
      reads.push(name);
      return workplace.store.read(name, expectedHash);
    },
  };
  tensors = memory().numTensors;
});
afterEach(async () => {
  for (const cache of caches.splice(0)) cache.dispose();
  expect(memory().numTensors).toBe(tensors);
  await workplace.remove();
});

function createCache(capacity: number, of = store): ModelCache {
  const cache = createModelCache(of, capacity);
  caches.push(cache);
  return cache;
}

const wanted = (...seeds: number[]) => seeds.map((seed) => references[seed]!);
const sequence = { promptTokens: [1, 2], responseTokens: [3, 4] };
const rewardOf = (model: LanguageModel) => model.rewards([sequence])[0]!;

/** The rewards of the models, computed each by itself. */
async function expectedRewards(): Promise<number[]> {
  const cache = createModelCache(workplace.store, 4);
  const rewards = (await cache.models(references)).map(rewardOf);
  cache.dispose();
  return rewards;
}

describe('a model cache', () => {
  it('gives the models of checkpoints in their order, and reads each once', async () => {
    const expected = await expectedRewards();
    expect(new Set(expected).size).toBe(4);
    const cache = createCache(4);
    expect((await cache.models(wanted(2, 0, 2))).map(rewardOf)).toEqual([expected[2], expected[0], expected[2]]);
    expect((await cache.models(wanted(0, 2))).map(rewardOf)).toEqual([expected[0], expected[2]]);
    expect(reads).toEqual(['models/2', 'models/0']);
  });

  it('keeps as many as it may, those that were used last', async () => {
    const cache = createCache(2);
    await cache.models(wanted(0));
    const one = memory().numTensors - tensors;
    await cache.models(wanted(1));
    await cache.models(wanted(0));
    await cache.models(wanted(2));
    expect(memory().numTensors - tensors).toBe(2 * one);
    await cache.models(wanted(0));
    expect(reads).toEqual(['models/0', 'models/1', 'models/2']);
    await cache.models(wanted(1));
    expect(reads).toHaveLength(4);
    expect(memory().numTensors - tensors).toBe(2 * one);
  });

  it('keeps all models of one request alive together, whatever its capacity', async () => {
    const expected = await expectedRewards();
    const cache = createCache(1);
    await cache.models(wanted(3));
    for (const seeds of [
      [0, 1, 2],
      [2, 0],
      [1, 3],
    ]) {
      const models = await cache.models(wanted(...seeds));
      expect(models.map(rewardOf)).toEqual(seeds.map((seed) => expected[seed]));
    }
  });

  it('gives those who ask at the same time models that they can use at once, also where reading takes no time', async () => {
    const expected = await expectedRewards();
    const checkpoints = new Map<string, Checkpoint>();
    for (const { name, contentHash } of references) checkpoints.set(name, await store.read(name, contentHash));
    const cache = createCache(1, { ...store, read: (name) => Promise.resolve(checkpoints.get(name)!) });
    const rewards = async (...seeds: number[]) => {
      const models = await cache.models(wanted(...seeds));
      // As in the stages: through functions that wait for one another, without a pause.
      for (let hop = 0; hop < 10; hop++) await Promise.resolve();
      return models.map(rewardOf);
    };
    const requests = Array.from({ length: 40 }, (_, index) =>
      [index % 4, (index * 3 + 1) % 4].slice(0, 1 + (index % 2)),
    );
    const found = await Promise.all(requests.map((seeds) => rewards(...seeds)));
    expect(found).toEqual(requests.map((seeds) => seeds.map((seed) => expected[seed])));
  });

  it('reads a checkpoint once when several ask for it at the same time', async () => {
    const cache = createCache(2);
    await Promise.all([cache.models(wanted(1)), cache.models(wanted(1)), cache.models(wanted(2, 1))]);
    expect(reads).toEqual(['models/1', 'models/2']);
  });

  it('names a checkpoint that is not there or is no model, and serves those who ask for others', async () => {
    const cache = createCache(2);
    const missing = { name: 'models/9', contentHash: '0'.repeat(64) };
    const text = { name: 'text/text', contentHash: (await workplace.store.read('text/text')).contentHash };
    const asked = [cache.models([missing]), cache.models([text]), cache.models(wanted(0))] as const;
    await expect(asked[0]).rejects.toThrow(/models\/9: there is no such checkpoint/);
    await expect(asked[1]).rejects.toMatchObject({
      name: 'InputError',
      message: expect.stringContaining('text/text') as string,
    });
    expect(await asked[2]).toHaveLength(1);
  });

  it('does not blame a checkpoint for a store that is out of reach', async () => {
    let away = true;
    const cache = createCache(2, {
      ...store,
      read: (...asked) => (away ? Promise.reject(new StoreUnavailable('no route')) : store.read(...asked)),
    });
    const refused = await cache.models(wanted(0)).catch((error: unknown) => error);
    // Stages put aside what an InputError is said of.
    expect(refused).not.toBeInstanceOf(InputError);
    expect(refused).toMatchObject({ message: 'no route' });
    away = false;
    expect(await cache.models(wanted(0))).toHaveLength(1);
  });
});
