import { InputError } from '@infalign/core';
import type { PolicyVersion } from '@infalign/contracts';
import type { LanguageModel, Weights } from '@infalign/language-model';

/** Gives the weights of an announced policy version: from a checkpoint store, verified by content hash. */
export type LoadPolicy = (version: PolicyVersion) => Weights;

/**
 * The policy versions announced so far, and the one model that holds whichever of them was asked for last.
 */
export interface PolicyStore {
  announce(version: PolicyVersion): void;
  /**
   * The model with the weights of that version.
   *
   * @throws InputError if the version was never announced
   */
  policy(version: number): LanguageModel;
}

/**
 * @param model executes every version; its weights are replaced when another version is asked for
 * @param load reads the weights that a version record points to
 */
export function createPolicyStore(model: LanguageModel, load: LoadPolicy): PolicyStore {
  const announced = new Map<number, PolicyVersion>();
  let loaded: number | undefined;
  return {
    announce(version) {
      announced.set(version.version, version);
    },
    policy(version) {
      if (version !== loaded) {
        const record = announced.get(version);
        if (!record) {
          throw new InputError(
            `A request asks for policy version ${version}, which policy.versions has not announced ` +
              `(known: ${[...announced.keys()].join(', ') || 'none'}). Versions are announced before work is dispatched.`,
          );
        }
        model.load(load(record));
        loaded = version;
      }
      return model;
    },
  };
}
