import type { CheckpointStore } from '@infalign/checkpoint';
import type { PolicyVersion, Run } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import { outgoing, topics, type OutgoingRecord, type RolloutStream } from '@infalign/rollout-stream';
import type { Backup } from './backup.js';
import { originOf, readLearner } from './learner-checkpoint.js';
import { pipelineRun, type PipelineRun } from './pipeline-run.js';
import { firstRequests, nextTrainingRequests, type Prompts } from './run-requests.js';
import { textOf } from './stored-text.js';
import { untilCommitted } from './until-committed.js';

/** A run that was restored, and from where it goes on. */
export interface RestoredRun {
  readonly runId: string;
  /** Iterations that have been learned; 0 where nothing is. */
  readonly iteration: number;
  /** How many rollouts were asked for again. */
  readonly rollouts: number;
}

/**
 * Restores the runs of a backup to topics that are empty, in one transaction. Every run goes on from the policy version that it
 * had announced last in the backup: what was under way after it is asked for again, and gives the same again. Reference
 * rollouts are sampled again, and final policies measured again, since the records of both are gone; reference distributions
 * are taken over where they have been recalibrated since the run sampled its references.
 *
 * Nothing of it depends on how far consumers had come, nor on the offsets of the topics of before.
 *
 * @throws InputError if the topics hold runs already or have another number of partitions, or a checkpoint that a run goes on
 *   from is not in the store
 */
export async function restoreRuns(
  stream: RolloutStream,
  store: CheckpointStore,
  backup: Backup,
): Promise<readonly RestoredRun[]> {
  if (stream.partitions !== backup.partitions) {
    throw new InputError(
      `The backup is of topics with ${backup.partitions} partitions, and these have ${stream.partitions}. What is computed ` +
        `together depends on them: restore to new topics, with stream.partitions: ${backup.partitions} in the services file.`,
    );
  }
  const offsets = {
    learnFrom: await stream.endOffsets(topics.rolloutCalibrated),
    scoredFrom: await stream.endOffsets(topics.rolloutScored),
    evaluatedFrom: await stream.endOffsets(topics.evaluationResults),
  };
  const restored: RestoredRun[] = [];
  const outputs: OutgoingRecord[] = [];
  for (const record of referencesFirst(backup.runs)) {
    const { runId } = record;
    const again = { ...record, ...offsets, restorations: record.restorations + 1 };
    const run = understood(again);
    if (!run) {
      outputs.push(outgoing(topics.runs, again));
      continue;
    }
    const versions = backup.policyVersions.filter((version) => version.runId === runId);
    const states = backup.calibrationStates.filter((state) => state.runId === runId);
    const { references } = run.experiment.calibration;
    const takenOver = states.some(({ seen }) => seen > references) ? states : [];
    const requests = takenOver.length > 0 ? [] : await requestsOf(run, latestOf(versions), store, stream.partitions);
    outputs.push(outgoing(topics.runs, run.record));
    // One at a time: there may be too many to be arguments.
    for (const version of versions) outputs.push(outgoing(topics.policyVersions, version));
    for (const state of takenOver) outputs.push(outgoing(topics.calibrationState, state));
    for (const request of requests) outputs.push(outgoing(topics.samplingRequests, request));
    const rollouts = requests.reduce((sum, { samples }) => sum + samples, 0);
    restored.push({ runId, iteration: latestOf(versions)?.iteration ?? 0, rollouts });
  }
  await untilCommitted(async () => {
    // Of two that restore at the same time, one is fenced off.
    const writer = await stream.writer('restore');
    try {
      const known = await stream.table(topics.runs);
      if (isRestored(backup, known)) return;
      if (known.size > 0) {
        throw new InputError(
          `The topics hold ${known.size} runs already, and a backup is restored to empty ones. Give the services a new ` +
            'stream.prefix, or new brokers; where the topics are those of before, nothing needs to be restored.',
        );
      }
      await writer.append(outputs);
    } finally {
      await writer.close();
    }
  });
  return restored;
}

/** Nothing where services cannot carry it out, and did not: it stays as it is. */
function understood(record: Run): PipelineRun | undefined {
  try {
    return pipelineRun(record);
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

/** Rewards are calibrated by references that come before them in their partition. */
function referencesFirst(runs: readonly Run[]): Run[] {
  return [...runs].sort((a, b) => Number(a.referenceRunId !== '') - Number(b.referenceRunId !== ''));
}

function latestOf(versions: readonly PolicyVersion[]): PolicyVersion | undefined {
  return [...versions].sort((a, b) => a.version - b.version).at(-1);
}

/** Whether it is the backup's own runs that are there: the transaction had taken place. */
function isRestored({ runs }: Backup, known: ReadonlyMap<string, Run>): boolean {
  return (
    runs.length > 0 && runs.every(({ runId, restorations }) => known.get(runId)?.restorations === restorations + 1)
  );
}

/** What a run has to ask for that goes on from a version. */
async function requestsOf(
  run: PipelineRun,
  latest: PolicyVersion | undefined,
  store: CheckpointStore,
  partitions: number,
) {
  const { record, experiment, policyRun } = run;
  const prompts = async (): Promise<Prompts> => {
    const { name, contentHash } = record.text!;
    return textOf(await store.read(name, contentHash), name).prompts;
  };
  if (!policyRun || !latest || latest.version === 0) return firstRequests(run, await prompts(), partitions);
  if (!(await store.has(latest.checkpoint))) {
    throw new InputError(
      `The checkpoint of version ${latest.version} of run ${record.runId}, which it goes on from, is not in the checkpoint ` +
        'store. Check the store; or the run has gone on for long since the backup: restore a later one.',
    );
  }
  // Its evaluation is asked for by the evaluator, which finds it announced.
  if (latest.iteration >= experiment.ppo.iterations) return [];
  const origin = originOf((await readLearner(store, latest)).state);
  return nextTrainingRequests(run, await prompts(), latest.iteration, partitions, origin);
}
