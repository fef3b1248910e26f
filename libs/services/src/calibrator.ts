import { CalibratorServiceService } from '@infalign/contracts';
import { assembleCalibration } from '@infalign/pipeline';
import { calibrationKey, partitionOfKey, topics } from '@infalign/rollout-stream';
import { implement } from '@infalign/rpc';
import { calibrationService } from '@infalign/stage-calibration';
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
          async state(referenceRunId, promptId) {
            const partition = partitionOfKey(promptId, stream.partitions);
            const states = await stream.table(topics.calibrationState, partition);
            return states.get(calibrationKey(referenceRunId, promptId));
          },
        }),
      ),
      serve: (signal) => serveStages([assembleCalibration(parts, observedCalibration(parts.telemetry))], parts, signal),
    };
  },
};
