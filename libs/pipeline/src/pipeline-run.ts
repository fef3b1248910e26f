import type { Run } from '@infalign/contracts';
import { InputError, type MethodReward } from '@infalign/core';
import { parseExperiment, type Experiment } from '@infalign/run-config';
import { policyRuns, rewardOfRun, runIdOf, stepNames, type PolicyRun } from './experiment-steps.js';

/** A run as stages work on it: its record, and what the record says. */
export interface PipelineRun {
  readonly record: Run;
  readonly experiment: Experiment;
  /** The policy that it trains; undefined where it samples reference rollouts. */
  readonly policyRun: PolicyRun | undefined;
  /** What that policy is trained on; undefined where there is none. */
  readonly reward: MethodReward | undefined;
}

/**
 * Reads what a run's record says.
 *
 * @throws InputError if its experiment is not valid or has no such step, its id is not the one that follows from them, or its KL is out of
 *   reach
 */
export function pipelineRun(record: Run): PipelineRun {
  const experiment = parseExperiment(record.experiment, `experiment of run ${record.runId}`);
  const policyRun = policyRuns(experiment).find(({ name }) => name === record.step);
  const samplesReferences = record.step === stepNames.trainingReferences || record.step === stepNames.heldOutReferences;
  if (!policyRun && !samplesReferences) {
    throw new InputError(
      `Run ${record.runId}: its experiment has no step ${record.step} that services can carry out. They are ` +
        `${[stepNames.trainingReferences, stepNames.heldOutReferences, ...policyRuns(experiment).map(({ name }) => name)].join(', ')}.`,
    );
  }
  // The same experiment under two ids would be carried out twice, to the same checkpoints.
  const runId = runIdOf(experiment, record.step);
  if (record.runId !== runId) {
    throw new InputError(`Run ${record.runId}: step ${record.step} of its experiment is run ${runId}.`);
  }
  return { record, experiment, policyRun, reward: policyRun && rewardOfRun(policyRun) };
}
