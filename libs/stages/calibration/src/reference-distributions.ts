import { InputError, sortedReferences } from '@infalign/core';
import type { CalibrationState } from '@infalign/contracts';

/** Each prompt's reference distribution: the latest state of `calibration.state`, by prompt. */
export interface ReferenceDistributions {
  put(state: CalibrationState): void;
  /**
   * The state of a prompt, to calibrate a reward of that reward-model version.
   *
   * @throws InputError if the prompt has no references, or has them from another version of the reward model
   */
  get(promptId: string, rewardModelVersion: string): CalibrationState;
  /** The state that results when more reference rewards of a prompt arrive; not yet put. */
  extended(promptId: string, rewardModelVersion: string, rewards: readonly number[]): CalibrationState;
}

/** Creates the distributions from what `calibration.state` holds so far. */
export function createReferenceDistributions(states: Iterable<CalibrationState>): ReferenceDistributions {
  const byPrompt = new Map<string, CalibrationState>();
  for (const state of states) byPrompt.set(state.promptId, state);
  return {
    put(state) {
      byPrompt.set(state.promptId, state);
    },
    get(promptId, rewardModelVersion) {
      const state = byPrompt.get(promptId);
      if (!state) {
        throw new InputError(
          `Prompt ${promptId} has no reference rewards: sample reference rollouts for it before its rewards are calibrated.`,
        );
      }
      if (state.rewardModelVersion !== rewardModelVersion) {
        throw new InputError(
          `Prompt ${promptId} has reference rewards of reward model ${state.rewardModelVersion}, but its rollout was ` +
            `scored by ${rewardModelVersion}. Rewards of different models are not comparable: score the references anew.`,
        );
      }
      return state;
    },
    extended(promptId, rewardModelVersion, rewards) {
      const known = byPrompt.get(promptId);
      // References scored by another version of the reward model are dropped, never mixed with the new ones.
      const kept = known?.rewardModelVersion === rewardModelVersion ? known.references : [];
      return {
        promptId,
        version: (known?.version ?? 0) + 1,
        rewardModelVersion,
        references: Array.from(sortedReferences([...kept, ...rewards])),
      };
    },
  };
}
