import type { CalibratedRollout } from '@infalign/contracts';

/** How far a learner has read `rollout.calibrated`; one offset a partition. */
export interface ReadPositions {
  /** Where to read on so that none of the rollouts still to be learned from is missed. */
  readonly from: readonly number[];
  /** Up to where rollouts that were dropped have been counted: what is read again is not counted again. */
  readonly counted: readonly number[];
}

/** The rollouts that a learner has read and not yet learned from, by the iteration that they were asked for. */
export interface RolloutBuffer {
  /** Takes note of a record of `rollout.calibrated`; in each partition by ascending offset. */
  add(
    place: { readonly partition: number; readonly offset: number },
    /** Nothing where the record is not one of this run. */
    rollout: CalibratedRollout | undefined,
    /** The W3C trace context that it came with. */
    trace?: string,
  ): void;
  /** Whether all rollouts of the next iteration are there. */
  isComplete(): boolean;
  /** The trace contexts that they came with, each once. */
  traces(): string[];
  /** Takes them out, in the order in which they were asked for, and goes on to the iteration after. */
  take(): CalibratedRollout[];
  positions(): ReadPositions;
  /** How many rollouts were dropped since the last call: too old, or there already. */
  takeDropped(): number;
}

interface Buffered {
  readonly partition: number;
  readonly offset: number;
  readonly rollout: CalibratedRollout;
  readonly trace: string | undefined;
}

/**
 * An empty buffer.
 *
 * @param positions those of an earlier buffer, whose rollouts have been learned from up to here
 * @param iteration the next one to learn, counted from 1
 * @param dispatched how many iterations, from the next one on, have been asked for: 1 on-policy, more with staleness
 * @param expected the ids of the rollouts of an iteration, in the order in which they are to be learned from
 */
export function createRolloutBuffer(
  { from, counted }: ReadPositions,
  iteration: number,
  dispatched: number,
  expected: (iteration: number) => readonly string[],
): RolloutBuffer {
  const next = [...from];
  const buffered = new Map<string, Buffered>();
  /** Ids by iteration, from the next one on. */
  let wanted = Array.from({ length: dispatched }, (_, ahead) => expected(iteration + ahead));
  let unlearned = new Set(wanted.flat());
  let dropped = 0;
  return {
    add({ partition, offset }, rollout, trace) {
      next[partition] = offset + 1;
      if (!rollout) return;
      const { rolloutId } = rollout.scored!.rollout!;
      if (unlearned.has(rolloutId) && !buffered.has(rolloutId)) {
        buffered.set(rolloutId, { partition, offset, rollout, trace });
      } else if (offset >= counted[partition]!) dropped++;
    },
    isComplete: () => wanted[0]!.every((id) => buffered.has(id)),
    traces: () => [...new Set(wanted[0]!.flatMap((id) => buffered.get(id)?.trace ?? []))],
    take() {
      const rollouts = wanted[0]!.map((id) => buffered.get(id)!.rollout);
      for (const id of wanted[0]!) buffered.delete(id);
      iteration++;
      wanted = [...wanted.slice(1), expected(iteration + dispatched - 1)];
      unlearned = new Set(wanted.flat());
      return rollouts;
    },
    positions() {
      const positions = [...next];
      for (const { partition, offset } of buffered.values()) {
        positions[partition] = Math.min(positions[partition]!, offset);
      }
      return { from: positions, counted: next.map((offset, partition) => Math.max(offset, counted[partition]!)) };
    },
    takeDropped() {
      const count = dropped;
      dropped = 0;
      return count;
    },
  };
}
