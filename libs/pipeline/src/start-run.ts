import type { CalibrationState, PolicyVersion, Run } from '@infalign/contracts';
import type { CheckpointStore } from '@infalign/checkpoint';
import { InputError } from '@infalign/core';
import { formatExperiment, type Experiment } from '@infalign/run-config';
import { outgoing, topics, type OutgoingRecord, type RolloutStream } from '@infalign/rollout-stream';
import { learnerName } from '@infalign/stage-learning';
import { checkpointNames, runIdOf, stepNames } from './experiment-steps.js';
import { pipelineRun } from './pipeline-run.js';
import { firstRequests } from './run-requests.js';
import { textOf } from './stored-text.js';
import { untilCommitted } from './until-committed.js';

/** A run to start. */
export interface RunToStart {
  readonly experiment: Experiment;
  /** The step of the experiment that it carries out. */
  readonly step: string;
  /** Where the experiment's checkpoints lie in the store; empty for its top. */
  readonly checkpoints: string;
  /** Reference distributions to begin with, where they are not in the stream already. */
  readonly calibration?: readonly CalibrationState[];
}

/**
 * Starts a run, or finds it started: in one transaction, announces the run and its base policy as version 0, and
 * dispatches its first requests.
 *
 * @returns the run as it was announced
 * @throws InputError if a checkpoint that it needs is not in the store, or the run has been started with those of another place
 */
export async function startRun(stream: RolloutStream, store: CheckpointStore, wanted: RunToStart): Promise<Run> {
  const { experiment, step, checkpoints, calibration = [] } = wanted;
  const runId = runIdOf(experiment, step);
  checkPartitions(experiment, stream);
  const known = async (): Promise<Run | undefined> => {
    const run = (await stream.table(topics.runs)).get(runId);
    if (!run || run.checkpoints === checkpoints) return run;
    throw new InputError(
      `Run ${runId} has been started with its checkpoints under ${JSON.stringify(run.checkpoints)}, not ` +
        `${JSON.stringify(checkpoints)}: give the experiment another name.`,
    );
  };
  return untilCommitted(async () => {
    const before = await known();
    if (before) return before;
    // All that takes long comes before the writer is opened: who opens it fences off others who are about to append.
    const { record, outputs } = await announcement();
    // Whoever starts it at the same time is fenced off, and finds it started when it tries again. A learner that works on
    // it would be as well: hence the look before.
    const writer = await stream.writer(learnerName(runId));
    try {
      const meanwhile = await known();
      if (meanwhile) return meanwhile;
      await writer.append(outputs);
      return record;
    } finally {
      await writer.close();
    }
  });

  async function announcement(): Promise<{ readonly record: Run; readonly outputs: readonly OutgoingRecord[] }> {
    const name = (checkpoint: string): string => (checkpoints === '' ? checkpoint : `${checkpoints}/${checkpoint}`);
    const reference = async (checkpoint: string) => ({
      name: name(checkpoint),
      contentHash: (await store.read(name(checkpoint))).contentHash,
    });
    const isTrainingReferences = step === stepNames.trainingReferences;
    const isReferences = isTrainingReferences || step === stepNames.heldOutReferences;
    const record: Run = {
      runId,
      experiment: formatExperiment(experiment),
      step,
      checkpoints,
      basePolicy: await reference(checkpointNames.basePolicy),
      rewardModel: await reference(checkpointNames.rewardModel),
      judge: isTrainingReferences ? undefined : await reference(checkpointNames.judge),
      text: await reference(checkpointNames.text),
      referenceRunId: isReferences ? '' : runIdOf(experiment, stepNames.trainingReferences),
      learnFrom: await stream.endOffsets(topics.rolloutCalibrated),
      scoredFrom: await stream.endOffsets(topics.rolloutScored),
      evaluatedFrom: await stream.endOffsets(topics.evaluationResults),
      stopped: false,
      restorations: 0,
    };
    const run = pipelineRun(record);
    const { prompts } = textOf(await store.read(record.text!.name, record.text!.contentHash), record.text!.name);
    const version: PolicyVersion = {
      runId,
      version: 0,
      checkpoint: record.basePolicy!.name,
      contentHash: record.basePolicy!.contentHash,
      iteration: 0,
      beta: run.reward?.beta ?? 1,
      observedKl: 0,
      targetKl: run.policyRun?.targetKl ?? 0,
      final: false,
      rolledBackTo: 0,
    };
    const outputs = [
      outgoing(topics.runs, record),
      outgoing(topics.policyVersions, version),
      ...calibration.map((state) => outgoing(topics.calibrationState, state)),
      ...firstRequests(run, prompts, stream.partitions).map((request) => outgoing(topics.samplingRequests, request)),
    ];
    return { record, outputs };
  }
}

function checkPartitions({ stream: { partitions } }: Experiment, stream: RolloutStream): void {
  if (partitions === stream.partitions) return;
  throw new InputError(
    `The experiment has stream.partitions: ${partitions}, but the topics have ${stream.partitions} partitions. What is ` +
      `computed together depends on them: set stream.partitions: ${stream.partitions} in the experiment.`,
  );
}
