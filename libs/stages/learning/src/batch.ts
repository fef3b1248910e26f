import { InputError } from '@infalign/core';
import type { CalibratedRollout, SampledRollout } from '@infalign/contracts';

/** A calibrated rollout as the learner takes it. */
export interface LearningRollout {
  readonly sequence: SampledRollout;
  readonly rawReward: number;
  readonly calibratedReward: number;
  readonly transformedReward: number;
}

/**
 * What an iteration learns from, checked: every record complete, and all at one temperature, without which behaviour and
 * reference log-probs are not those of one policy.
 *
 * @throws InputError naming the rollout, if there is none, one lacks a part, or temperatures differ
 */
export function learningRollouts(records: readonly CalibratedRollout[]): LearningRollout[] {
  const first = records[0]?.scored?.rollout;
  if (!first) throw new InputError('There are no calibrated rollouts to learn from: send at least one.');
  return records.map((record, index) => {
    const sequence = record.scored?.rollout;
    const reward = record.scored?.reward;
    if (!sequence || !reward) {
      throw new InputError(`Calibrated rollout ${index} lacks its rollout or its reward: send complete records.`);
    }
    const { rolloutId, responseTokens, logProbs, temperature } = sequence;
    if (responseTokens.length === 0 || responseTokens.length !== logProbs.length) {
      throw new InputError(
        `Rollout ${rolloutId} has ${responseTokens.length} response tokens and ${logProbs.length} log-probs: ` +
          'it needs one for each, and at least one.',
      );
    }
    if (temperature !== first.temperature) {
      throw new InputError(
        `Rollout ${rolloutId} was sampled at temperature ${temperature}, rollout ${first.rolloutId} at ` +
          `${first.temperature}: learn from one temperature at a time.`,
      );
    }
    const { calibratedReward, transformedReward } = record;
    if (!Number.isFinite(transformedReward)) {
      throw new InputError(`Rollout ${rolloutId} has the transformed reward ${transformedReward}: it must be finite.`);
    }
    return { sequence, rawReward: reward.reward, calibratedReward, transformedReward };
  });
}

/** Indices of the rollouts of each prompt, in order of first appearance. */
export function indicesByPrompt(rollouts: readonly LearningRollout[]): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  rollouts.forEach(({ sequence }, index) => {
    const group = groups.get(sequence.promptId);
    if (group) group.push(index);
    else groups.set(sequence.promptId, [index]);
  });
  return groups;
}

/**
 * What is made of the values of rollouts, one for each, prompt by prompt.
 *
 * @param compute gives one result for each value of a prompt
 * @returns in the order of the rollouts
 */
export function withinPrompts<Value, Result>(
  rollouts: readonly LearningRollout[],
  values: readonly Value[],
  compute: (own: Value[], promptId: string) => readonly Result[],
): Result[] {
  const results = new Array<Result>(values.length);
  for (const [promptId, indices] of indicesByPrompt(rollouts)) {
    const own = compute(
      indices.map((index) => values[index]!),
      promptId,
    );
    indices.forEach((index, position) => (results[index] = own[position]!));
  }
  return results;
}

/** Each value times its weight; as it is where there are no weights. */
export function weighted(values: Float64Array, weights: ArrayLike<number> | undefined): Float64Array {
  return weights ? values.map((value, index) => value * weights[index]!) : values;
}

/** The arrays end to end, as 32-bit floats: the flat order of a training step's outputs. */
export function flattened(arrays: readonly ArrayLike<number>[]): Float32Array {
  const flat = new Float32Array(arrays.reduce((total, each) => total + each.length, 0));
  let offset = 0;
  for (const each of arrays) {
    flat.set(each, offset);
    offset += each.length;
  }
  return flat;
}

/** A flat array cut back into pieces of these lengths. */
export function unflattened(flat: Float64Array, lengths: readonly number[]): Float64Array[] {
  let offset = 0;
  return lengths.map((length) => flat.subarray(offset, (offset += length)));
}
