import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError } from '@infalign/core';
import type {
  CalibratedRollout,
  CalibrationEvent,
  CalibrationState,
  DeadLetter,
  HeldRollout,
  ScoredRollout,
} from '@infalign/contracts';
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
import type { CalibrationRun } from './calibration-run.js';
import { calibrationStage, type MeasuredRollouts } from './pipeline.js';

/** What the calibrator has made of a stream so far. */
export interface Outcome {
  readonly calibrated: readonly CalibratedRollout[];
  readonly states: ReadonlyMap<string, CalibrationState>;
  readonly held: readonly HeldRollout[];
  readonly events: readonly CalibrationEvent[];
  readonly deadLetters: readonly DeadLetter[];
}

/** A stream in a folder of its own, with a calibrator that can be restarted. */
export interface CalibratedStream {
  readonly stream: RolloutStream;
  /** Appends rollouts, and calibrates until nothing is left to do, with a calibrator that begins by reading its state. */
  calibrate(rollouts: readonly ScoredRollout[], maxBatchRecords?: number): Promise<Outcome>;
  outcome(): Promise<Outcome>;
  /** Closes the stream and opens it again: whatever was known in memory is gone. */
  restart(): Promise<void>;
  remove(): Promise<void>;
}

/** Opens a stream whose runs are the given ones. */
export function calibratedStream(
  runs: Readonly<Record<string, CalibrationRun>>,
  partitions = 1,
  onMeasured?: (measured: MeasuredRollouts) => void,
): CalibratedStream {
  const folder = mkdtempSync(join(tmpdir(), 'calibration-'));
  let stream = openEmbeddedStream(folder, { partitions });
  async function outcome(): Promise<Outcome> {
    return {
      calibrated: await all(stream, topics.rolloutCalibrated),
      states: await stream.table(topics.calibrationState),
      held: [...(await stream.table(topics.calibrationHeld)).values()],
      events: await all(stream, topics.calibrationEvents),
      deadLetters: await all(stream, deadLetterTopic(topics.rolloutScored)),
    };
  }
  return {
    get stream() {
      return stream;
    },
    async calibrate(rollouts, maxBatchRecords = 100) {
      await stream.append(rollouts.map((rollout) => outgoing(topics.rolloutScored, rollout)));
      const worker = await stageWorker(
        stream,
        calibrationStage({ stream, run: runOf(runs), maxBatchRecords, ...(onMeasured && { onMeasured }) }),
      );
      try {
        await runToQuiescence([worker]);
      } finally {
        await worker.close();
      }
      return outcome();
    },
    outcome,
    async restart() {
      await stream.close();
      stream = openEmbeddedStream(folder, { partitions });
    },
    async remove() {
      await stream.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Finds a run, as the stage is told of it. */
export function runOf(runs: Readonly<Record<string, CalibrationRun>>): (runId: string) => Promise<CalibrationRun> {
  return (runId) => {
    const run = runs[runId];
    return run ? Promise.resolve(run) : Promise.reject(new InputError(`There is no run ${runId}.`));
  };
}

async function all<T>(stream: RolloutStream, topic: Topic<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const { value } of stream.readAll(topic)) values.push(value);
  return values;
}
