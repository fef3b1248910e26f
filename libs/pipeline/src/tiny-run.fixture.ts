import type { LearningStatistics, SamplingRequest } from '@infalign/contracts';
import type { CheckpointStore } from '@infalign/checkpoint';
import type { Experiment } from '@infalign/run-config';
import {
  deadLetterTopic,
  runToQuiescence,
  stageWorker,
  topics,
  type RolloutStream,
  type Stage,
  type Topic,
} from '@infalign/rollout-stream';
import { learningRun } from './learning-run.js';
import { policyRuns, stepNames } from './experiment-steps.js';
import { createModelCache } from './model-cache.js';
import { followRuns } from './runs.js';
import { assembleCalibration, assembleEvaluation, assembleSampling, assembleScoring } from './stages.js';
import { startRun } from './start-run.js';

/** What runs leave: the records of every topic, by partition in order; and what the learner has to say. */
export interface LeftBehind {
  readonly records: Readonly<Record<string, readonly unknown[]>>;
  readonly history: readonly LearningStatistics[];
  readonly finished: boolean;
}

/**
 * Carries out the two runs of references and a policy's, as far as they have not been, in this process.
 *
 * @param transactions stops after so many; without it, nothing is left to do in the end
 * @param sampler what the policy-sampler's stage is replaced by
 */
export async function carryOutRuns(
  stream: RolloutStream,
  store: CheckpointStore,
  experiment: Experiment,
  transactions = Infinity,
  sampler = (stage: Stage<SamplingRequest>): Stage<SamplingRequest> => stage,
): Promise<LeftBehind> {
  for (const step of [stepNames.trainingReferences, stepNames.heldOutReferences, policyRuns(experiment)[0]!.name]) {
    await startRun(stream, store, { experiment, step, checkpoints: '' });
  }
  const runs = await followRuns(stream, store);
  const models = createModelCache(store, 2);
  const parts = { stream, runs, models };
  const run = (await runs.all()).find(({ policyRun }) => policyRun !== undefined)!;
  const learner = await learningRun(run, { stream, store, runs, keptVersions: 10 });
  const evaluation = assembleEvaluation(parts);
  const workers = [
    await stageWorker(stream, sampler(assembleSampling(parts))),
    await stageWorker(stream, assembleScoring(parts)),
    await stageWorker(stream, assembleCalibration(parts)),
    learner,
    await stageWorker(stream, evaluation.requests),
    await stageWorker(stream, evaluation.measurement),
  ];
  const stop = new AbortController();
  let done = 0;
  let finished = true;
  try {
    await runToQuiescence(workers, {
      signal: stop.signal,
      onProgress: () => void (++done === transactions && stop.abort(new Error('stopped'))),
    });
  } catch (error) {
    if (error !== stop.signal.reason) throw error;
    finished = false;
  } finally {
    for (const worker of workers) await worker.close();
    await runs.close();
    models.dispose();
  }
  return { records: finished ? await allRecords(stream) : {}, history: learner.history(), finished };
}

/** What is in every topic and its dead letters, in order; of tables, what holds. */
async function allRecords(stream: RolloutStream): Promise<Record<string, unknown[]>> {
  const records: Record<string, unknown[]> = {};
  for (const topic of Object.values(topics) as Topic[]) {
    records[topic.name] = topic.compacted ? [...(await stream.table(topic))] : await valuesOf(stream, topic);
    records[deadLetterTopic(topic).name] = await valuesOf(stream, deadLetterTopic(topic));
  }
  return records;
}

async function valuesOf(stream: RolloutStream, topic: Topic): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const { value } of stream.readAll(topic)) values.push(value);
  return values;
}
