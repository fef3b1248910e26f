import { disposeAll, NativeTensor } from '@infalign/tensor-graph';
import { headSize, type LanguageModelConfig } from '../definition.js';
import { cacheNames } from './decoding-graph.js';
import type { GraphFunctions } from './graph-functions.js';
import { ran, type Lane } from './lanes.js';

/** Sizes of caches. */
export interface CacheSizes {
  readonly rowSlots: number;
  /** 0 where prompts are kept in the rows. */
  readonly promptSlots: number;
  readonly promptTime: number;
  /** Positions of a row to begin with: of its response, and of its prompt where that is kept in it. */
  readonly firstCapacity: number;
  /** Positions that a row can need. */
  readonly mostCapacity: number;
}

/**
 * Keys and values of every layer: of shared prompts by slot, and by row. What rows had before they needed more positions is kept for the
 * next call: to clear memory anew takes as long as a step.
 */
export interface Caches extends CacheSizes {
  /** Positions that rows have now. */
  readonly capacity: number;
  readonly prompts: Readonly<Record<string, NativeTensor>>;
  readonly responses: Readonly<Record<string, NativeTensor>>;
  /** Those for some number of positions. What is in them is finite. */
  ofCapacity(capacity: number): Readonly<Record<string, NativeTensor>>;
  /** Makes `responses` those for some number of positions. */
  take(capacity: number): void;
  dispose(): void;
}

export function createCaches(config: LanguageModelConfig, sizes: CacheSizes): Caches {
  const { rowSlots, promptSlots, promptTime, firstCapacity } = sizes;
  const prompts = promptSlots === 0 ? {} : cachesOf(config, 'prompt', promptSlots, promptTime);
  const byCapacity = new Map<number, Record<string, NativeTensor>>();
  let current = firstCapacity;
  const ofCapacity = (capacity: number): Record<string, NativeTensor> => {
    let found = byCapacity.get(capacity);
    if (!found) byCapacity.set(capacity, (found = cachesOf(config, 'response', rowSlots, capacity)));
    return found;
  };
  return {
    ...sizes,
    prompts,
    ofCapacity,
    get capacity() {
      return current;
    },
    get responses() {
      return ofCapacity(current);
    },
    take(capacity) {
      current = capacity;
    },
    dispose() {
      disposeAll(prompts);
      for (const responses of byCapacity.values()) disposeAll(responses);
    },
  };
}

export function sameSizes(a: CacheSizes, b: CacheSizes): boolean {
  return (
    a.rowSlots === b.rowSlots &&
    a.promptSlots === b.promptSlots &&
    a.promptTime === b.promptTime &&
    a.firstCapacity === b.firstCapacity &&
    a.mostCapacity === b.mostCapacity
  );
}

function cachesOf(
  config: LanguageModelConfig,
  kind: 'prompt' | 'response',
  slots: number,
  time: number,
): Record<string, NativeTensor> {
  const shape = [slots, config.keyValueHeads, time, headSize(config)];
  return Object.fromEntries(
    Array.from({ length: config.layers }, (_, layer) => Object.values(cacheNames(kind, layer)))
      .flat()
      .map((name) => [name, NativeTensor.zeros(shape)]),
  );
}

/** Gives the rows of a lane more positions, within the lane. */
export function* growCaches({ grow }: GraphFunctions, caches: Caches, capacity: number): Lane<void> {
  const larger = caches.ofCapacity(capacity);
  const feeds = Object.fromEntries(Object.entries(larger).map(([name, tensor]) => [`larger ${name}`, tensor]));
  const { done } = yield* ran(grow, { ...caches.responses, ...feeds }, {});
  done.dispose();
  caches.take(capacity);
}
