import { CalibratorServiceService, type CalibrationState } from '@infalign/contracts';
import { assembleCalibration } from '@infalign/pipeline';
import { calibrationKey, partitionOfKey, topics, type RolloutStream } from '@infalign/rollout-stream';
import { implement } from '@infalign/rpc';
import { calibrationService, type PromptOfRun } from '@infalign/stage-calibration';
import { observedCalibration } from './observed-calibration.js';
import { serveStages } from './serve-stages.js';
import type { Service } from './service.js';

/** Calibrates and transforms rewards. */
export const calibrator: Service = {
  name: 'calibrator',
  title: 'calibrator',
  computes: false,
  assemble(parts) {
    const { stream, runs } = parts;
    return {
      calls: implement(
        CalibratorServiceService,
        calibrationService({
          async referenceRun(runId) {
            const { record } = await runs.run(runId);
            return record.referenceRunId === '' ? runId : record.referenceRunId;
          },
          states: (wanted, signal) => referenceStates(stream, wanted, signal),
        }),
      ),
      serve: (signal) => serveStages([assembleCalibration(parts, observedCalibration(parts.telemetry))], parts, signal),
    };
  },
};

/** Reads the reference distributions of prompts: each partition that has some of them once, as that means all of its table. */
export async function referenceStates(
  stream: Pick<RolloutStream, 'partitions' | 'table'>,
  wanted: readonly PromptOfRun[],
  signal: AbortSignal,
): Promise<Map<string, CalibrationState>> {
  const keys = new Map<number, Set<string>>();
  for (const { runId, promptId } of wanted) {
    const partition = partitionOfKey(promptId, stream.partitions);
    const ofPartition = keys.get(partition) ?? new Set();
    keys.set(partition, ofPartition.add(calibrationKey(runId, promptId)));
  }
  const found = new Map<string, CalibrationState>();
  for (const [partition, ofPartition] of keys) {
    signal.throwIfAborted();
    const states = await stream.table(topics.calibrationState, partition);
    for (const key of ofPartition) {
      const state = states.get(key);
      if (state) found.set(key, state);
    }
  }
  return found;
}
