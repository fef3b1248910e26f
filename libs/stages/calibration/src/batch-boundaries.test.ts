import fc from 'fast-check';
import type { ScoredRollout } from '@infalign/contracts';
import { topics, type ConsumedRecord, type OutgoingRecord, type RolloutStream } from '@infalign/rollout-stream';
import { Purpose } from '@infalign/contracts';
import { describe, expect, it } from 'vitest';
import { calibrationStage } from './pipeline.js';
import { calibrationRun, scoredRollout } from './scored-rollouts.fixture.js';
import { calibratedStream, runOf } from './stream.fixture.js';

const drifting = { window: 3, driftFalseAlarmRate: 0.2, minimumReferences: 2 } as const;
const runs = {
  hold: calibrationRun({ ...drifting, referenceRunId: 'hold' }),
  pool: calibrationRun({ ...drifting, referenceRunId: 'hold', newPrompts: 'pool' }),
};

/** Rollouts as a scorer writes them, in batches of one run and purpose; some of them are lost on the way. */
const sequences = fc
  .array(
    fc.record({
      purpose: fc.constantFrom(Purpose.PURPOSE_REFERENCE, Purpose.PURPOSE_TRAINING, Purpose.PURPOSE_EVALUATION),
      runId: fc.constantFrom('hold', 'pool', 'unknown'),
      modelVersion: fc.constantFrom('v1', 'v1', 'v1', 'v2', 'v3'),
      rollouts: fc.array(
        fc.record({
          promptId: fc.constantFrom('a', 'b', 'c'),
          reward: fc.integer({ min: 0, max: 9 }),
          lost: fc.constantFrom(false, false, false, false, false, false, false, true),
        }),
        { minLength: 1, maxLength: 6 },
      ),
    }),
    { minLength: 1, maxLength: 25 },
  )
  .map((batches) =>
    batches.flatMap(({ purpose, runId, modelVersion, rollouts }, batch) =>
      rollouts
        .map(({ promptId, reward }, index) =>
          scoredRollout(purpose, promptId, reward, {
            // What is calibrated by the references of run `hold` comes from both.
            runId: purpose === Purpose.PURPOSE_REFERENCE && runId === 'pool' ? 'hold' : runId,
            rolloutId: `${batch}/${index}`,
            modelVersion,
            batchId: String(batch),
            batchRollouts: rollouts.length,
          }),
        )
        .filter((_, index) => !rollouts[index]!.lost),
    ),
  );

/** How many records appear at a time, and how many are read at once at first. */
const readings = fc.record({
  appearing: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 }),
  limit: fc.integer({ min: 1, max: 12 }),
});

function records(rollouts: readonly ScoredRollout[]): ConsumedRecord<ScoredRollout>[] {
  return rollouts.map((value, offset) => ({ topic: topics.rolloutScored, partition: 0, offset, value }));
}

/** What the stage makes of the records, read as a worker reads them. */
async function outputsOf(
  stream: RolloutStream,
  log: readonly ConsumedRecord<ScoredRollout>[],
  appearing: readonly number[],
  limit: number,
): Promise<OutgoingRecord[]> {
  const processor = await calibrationStage({ stream, run: runOf(runs), maxBatchRecords: limit }).open(0);
  const outputs: OutgoingRecord[] = [];
  let position = 0;
  let end = 0;
  for (let round = 0; end < log.length; round++) {
    end = Math.min(log.length, end + appearing[round % appearing.length]!);
    for (let size = limit; position < end;) {
      const batch = log.slice(position, Math.min(end, position + size));
      const result = await processor.process(batch);
      outputs.push(...result.outputs);
      position += result.consumed;
      if (result.consumed > 0) size = limit;
      else if (batch.length < size) break;
      else size *= 2;
    }
  }
  return outputs;
}

const plain = (outputs: readonly OutgoingRecord[]) =>
  outputs.map(({ topic, value, removes }) => ({ topic: topic.name, value, removes }));

describe('what is made of a sequence of rollouts', () => {
  it('does not depend on how many are read at once', async () => {
    const empty = calibratedStream(runs);
    const seen = new Set<string>();
    try {
      await fc.assert(
        fc.asyncProperty(sequences, readings, async (rollouts, { appearing, limit }) => {
          const log = records(rollouts);
          const expected = plain(await outputsOf(empty.stream, log, [log.length + 1], log.length + 1));
          const actual = plain(await outputsOf(empty.stream, log, appearing, limit));
          expect(actual).toEqual(expected);
          for (const { topic, removes } of actual) seen.add(`${topic} ${removes}`);
        }),
        { seed: 1, numRuns: 300 },
      );
    } finally {
      await empty.remove();
    }
    // The sequences come past everything that there is to do.
    expect([...seen].sort()).toEqual([
      'calibration.events false',
      'calibration.held false',
      'calibration.held true',
      'calibration.state false',
      'rollout.calibrated false',
      'rollout.scored.dead-letter false',
    ]);
  });

  it('does not depend on restarts', async () => {
    await fc.assert(
      fc.asyncProperty(sequences, fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), async (rollouts, cuts) => {
        const [whole, restarted] = [calibratedStream(runs), calibratedStream(runs)];
        try {
          const expected = await whole.calibrate(rollouts);
          const ends = cuts.map((cut) => cut % (rollouts.length + 1)).sort((a, b) => a - b);
          for (const [index, end] of ends.entries()) {
            await restarted.calibrate(rollouts.slice(index === 0 ? 0 : ends[index - 1], end), 5);
            await restarted.restart();
          }
          expect(await restarted.calibrate(rollouts.slice(ends.at(-1)), 5)).toEqual(expected);
        } finally {
          await Promise.all([whole.remove(), restarted.remove()]);
        }
      }),
      { seed: 2, numRuns: 15 },
    );
  });
});
