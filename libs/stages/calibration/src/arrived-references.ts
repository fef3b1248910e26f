import type { ScoredRollout } from '@infalign/contracts';
import type { ArrivedReferences } from './reference-distribution.js';

/** Reference rollouts by run, prompt and reward model, in the order in which each comes first. */
export function arrivedReferences(references: readonly ScoredRollout[]): ArrivedReferences[] {
  const groups = new Map<string, ArrivedReferences & { readonly rewards: number[] }>();
  for (const { rollout, reward } of references) {
    const { runId, promptId } = rollout!;
    const { modelVersion: rewardModelVersion } = reward!;
    const key = JSON.stringify([runId, promptId, rewardModelVersion]);
    const group = groups.get(key);
    if (group) group.rewards.push(reward!.reward);
    else groups.set(key, { runId, promptId, rewardModelVersion, rewards: [reward!.reward] });
  }
  return [...groups.values()];
}
