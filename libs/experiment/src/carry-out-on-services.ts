import { existsSync } from 'node:fs';
import { readCheckpoint, type CheckpointStore } from '@infalign/checkpoint';
import type { PolicyVersion } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import {
  checkpointNames,
  experimentId,
  firstRequests,
  learningHistory,
  pipelineRun,
  readText,
  runIdOf,
  stepNames,
  type PipelineRun,
} from '@infalign/pipeline';
import { formatExperiment, type Services } from '@infalign/run-config';
import { isPoison, topics, type RolloutStream, type Topic } from '@infalign/rollout-stream';
import { RpcError } from '@infalign/rpc';
import { askLearner, openStore, openStream, type LearnerClient, type StoreCredentials } from '@infalign/services';
import type { Logger } from '@infalign/telemetry';
import type { CarryOut } from './carry-out.js';
import type { ExperimentFolder } from './experiment-folder.js';
import { runProgress, type RunProgress } from './run-progress.js';
import type { StepContext } from './step-context.js';
import { warnOfUnusableRecords } from './unusable-records.js';

/** The services that runs are carried out on. */
export interface ServicesOptions {
  readonly services: Services;
  readonly logger: Logger;
  readonly credentials?: StoreCredentials;
}

/** A run may take so long. */
const runDeadlineMs = 30 * 24 * 3_600_000;

/**
 * Carries out runs on services: publishes what the run needs to their checkpoint store, has the learner start it, and
 * follows it to its end.
 */
export function carryOutOnServices({ services, logger, credentials }: ServicesOptions): CarryOut {
  return async ({ step }, context, collect) => {
    const { experiment, folder } = context;
    const runId = runIdOf(experiment, step);
    const store = openStore(services, credentials);
    const stream = await openStream('infalign', services, logger);
    const endWarning = warnOfUnusableRecords(stream, logger);
    try {
      await publishCheckpoints(store, experimentId(experiment), folder);
      return await askLearner(services, async (learner) => {
        await learner.startRun({
          runId,
          experiment: formatExperiment(experiment),
          step,
          checkpoints: experimentId(experiment),
        });
        const record = (await stream.table(topics.runs)).get(runId)!;
        const run = pipelineRun(record);
        const progress = runProgress(run, context);
        if (!run.policyRun) {
          await sampled(run, stream, context, progress);
          return await collect({ record, stream, history: [], finalVersion: 0 });
        }
        const final = await watch(runId, learner, progress);
        await evaluated(run, final.version, stream, context, progress);
        const history = await learningHistory(store, run, final);
        return await collect({ record, stream, history, finalVersion: final.version });
      });
    } finally {
      endWarning();
      await stream.close();
      await store.close();
    }
  };
}

/** The checkpoints of the steps before, brought to the services' store; what is there already is not brought again. */
async function publishCheckpoints(store: CheckpointStore, place: string, folder: ExperimentFolder): Promise<void> {
  for (const name of Object.values(checkpointNames)) {
    const path = folder.step(name);
    if (!existsSync(path) || (await store.has(`${place}/${name}`))) continue;
    const { files, metadata } = readCheckpoint(path);
    await store.publish(`${place}/${name}`, files, metadata);
  }
}

/** Follows a run until its learning is over, also while the learner is away for a time. @returns its final version */
async function watch(runId: string, learner: LearnerClient, progress: RunProgress): Promise<PolicyVersion> {
  for (;;) {
    try {
      for await (const { statistics } of learner.watchRun({ runId }, { deadlineMs: runDeadlineMs })) {
        await progress.learned(statistics!.iteration);
      }
      const { state } = await learner.getRun({ runId });
      if (state!.running) continue;
      if (state!.latest?.final) return state!.latest;
      throw new InputError(`run ${runId} was stopped: start it again with --resume`);
    } catch (error) {
      if (!(error instanceof RpcError && error.code === 'UNAVAILABLE')) throw error;
    }
  }
}

/** Waits until every evaluation prompt of a policy's run has its result. */
async function evaluated(
  { record: { runId, evaluatedFrom } }: PipelineRun,
  finalVersion: number,
  stream: RolloutStream,
  { experiment }: StepContext,
  progress: RunProgress,
): Promise<void> {
  const prompts = new Set<string>();
  await follow(stream, topics.evaluationResults, evaluatedFrom, (result) => {
    if (result.runId !== runId || result.policyVersion !== finalVersion) return false;
    if (prompts.has(result.promptId)) return false;
    prompts.add(result.promptId);
    progress.evaluated(1);
    return prompts.size === experiment.prompts.evaluation;
  });
}

/** Waits until all reference rollouts of a run are scored, and, where they are what rewards are calibrated with, in place. */
async function sampled(
  run: PipelineRun,
  stream: RolloutStream,
  { folder }: StepContext,
  progress: RunProgress,
): Promise<void> {
  const { runId, step, scoredFrom } = run.record;
  const { prompts } = readText(folder.step(checkpointNames.text));
  const wanted = firstRequests(run, prompts, stream.partitions).reduce((total, { samples }) => total + samples, 0);
  const rollouts = new Set<string>();
  await follow(stream, topics.rolloutScored, scoredFrom, ({ rollout }) => {
    if (rollout!.runId !== runId || rollouts.has(rollout!.rolloutId)) return false;
    rollouts.add(rollout!.rolloutId);
    progress.sampled(1);
    return rollouts.size === wanted;
  });
  if (step !== stepNames.trainingReferences) return;
  const references = new Map<string, number>();
  await follow(stream, topics.calibrationState, undefined, (state) => {
    if (state.runId === runId) references.set(state.promptId, state.seen);
    return prompts.train.every(({ id }) => (references.get(id) ?? 0) >= run.experiment.calibration.references);
  });
}

/** Reads a topic until what is looked for is there. */
async function follow<T>(
  stream: RolloutStream,
  topic: Topic<T>,
  from: readonly number[] | undefined,
  isFound: (record: T) => boolean,
): Promise<void> {
  const reader = await stream.follow(topic, from);
  try {
    for (;;) {
      const records = await reader.read(1000);
      for (const record of records) if (!isPoison(record) && isFound(record.value)) return;
      if (records.length === 0) await reader.changed(1000);
    }
  } finally {
    await reader.close();
  }
}
