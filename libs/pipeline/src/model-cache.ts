import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CheckpointReference } from '@infalign/contracts';
import type { CheckpointStore } from '@infalign/checkpoint';
import { createLanguageModel, type LanguageModel } from '@infalign/language-model';
import { readStored } from './read-stored.js';
import { modelOf } from './stored-model.js';

/** Models out of a checkpoint store, the ones used last kept in memory. */
export interface ModelCache {
  /**
   * The models of checkpoints, in their order; for use at once: after the next pause they may have made room for others.
   *
   * @throws InputError if a checkpoint is not there, damaged, or no model; another error if the store is out of reach
   */
  models(references: readonly CheckpointReference[]): Promise<LanguageModel[]>;
  dispose(): void;
}

/**
 * @param capacity models kept, at least 1; as many as are asked for together are kept in any case
 */
export function createModelCache(store: CheckpointStore, capacity: number): ModelCache {
  /** By content hash, the one used last at the end. */
  const kept = new Map<string, LanguageModel>();
  /** One after another: two that want the same checkpoint load it once, and neither takes away what the other loads. */
  let turn: Promise<unknown> = Promise.resolve();

  async function load(references: readonly CheckpointReference[]): Promise<LanguageModel[]> {
    const wanted = new Set(references.map(({ contentHash }) => contentHash));
    for (const reference of references) {
      const { name, contentHash } = reference;
      if (kept.has(contentHash)) continue;
      const stored = modelOf(await readStored(store, reference), name);
      // Whoever was given models before this uses them before this goes on.
      await nextTurn();
      for (const [oldest, model] of kept) {
        if (kept.size < capacity) break;
        if (wanted.has(oldest)) continue;
        kept.delete(oldest);
        model.dispose();
      }
      kept.set(contentHash, createLanguageModel(stored.config, stored.weights));
    }
    return references.map(({ contentHash }) => {
      const model = kept.get(contentHash)!;
      kept.delete(contentHash);
      kept.set(contentHash, model);
      return model;
    });
  }

  return {
    models(references) {
      const loaded = turn.then(() => load(references));
      turn = loaded.catch(() => undefined);
      return loaded;
    },
    dispose() {
      for (const model of kept.values()) model.dispose();
      kept.clear();
    },
  };
}
