import { join } from 'node:path';
import { openFolderStore } from '@infalign/checkpoint';
import { InputError } from '@infalign/core';
import {
  assembleCalibration,
  assembleEvaluation,
  assembleSampling,
  assembleScoring,
  createModelCache,
  followRuns,
  learningRun,
  startRun,
} from '@infalign/pipeline';
import {
  deadLetterTopic,
  openEmbeddedStream,
  runToQuiescence,
  stageWorker,
  topics,
  type RolloutStream,
  type Topic,
} from '@infalign/rollout-stream';
import type { CarryOut } from './carry-out.js';
import { runProgress } from './run-progress.js';

/** Policy, reference policy, reward model and judge. */
const modelsOfRun = 4;

/** Carries out runs in this process: all stages over one embedded log, in the folder of the step. */
export const carryOutHere: CarryOut = async ({ step, calibration }, context, collect) => {
  const { experiment, folder } = context;
  const place = folder.step(step);
  const stream = openEmbeddedStream(join(place, 'log'), { partitions: experiment.stream.partitions });
  try {
    const store = openFolderStore(folder.path);
    const record = await startRun(stream, store, { experiment, step, checkpoints: '', calibration });
    const runs = await followRuns(stream, store);
    const run = await runs.run(record.runId);
    const models = createModelCache(store, modelsOfRun);
    const parts = { stream, runs, models };
    const progress = runProgress(run, context);
    const learner =
      run.policyRun &&
      (await learningRun(run, {
        stream,
        store,
        runs,
        // Nobody rolls back a run that is carried out here.
        keptVersions: 0,
        onIteration: ({ iteration }) => progress.learned(iteration),
      }));
    const evaluation = assembleEvaluation(parts);
    const count = async (topic: Parameters<typeof stream.endOffsets>[0]): Promise<number> =>
      (await stream.endOffsets(topic)).reduce((sum, end) => sum + end, 0);
    progress.sampled(await count(topics.rolloutSampled));
    progress.evaluated(await count(topics.evaluationResults));
    await progress.learned(learner?.history().length ?? 0);
    await runToQuiescence(
      [
        await stageWorker(stream, assembleSampling(parts)),
        await stageWorker(stream, assembleScoring(parts)),
        await stageWorker(stream, assembleCalibration(parts)),
        ...(learner ? [learner] : []),
        await stageWorker(stream, evaluation.requests),
        await stageWorker(stream, evaluation.measurement),
      ],
      {
        onProgress: ({ name, produced }) => {
          if (name === 'policy-sampler') progress.sampled(produced);
          if (name === 'evaluator') progress.evaluated(produced);
        },
      },
    );
    models.dispose();
    await checkNothingRefused(stream, place);
    const history = learner?.history() ?? [];
    if (learner && history.length < experiment.ppo.iterations) {
      throw new InputError(
        `Run ${record.runId} came to rest after ${history.length} of ${experiment.ppo.iterations} iterations: its log lacks records. ` +
          `Delete ${place}, then resume the experiment.`,
      );
    }
    return await collect({ record, stream, history, finalVersion: history.length });
  } finally {
    await stream.close();
  }
};

/**
 * Makes sure that a run is at rest because it is done, and not because one of its records was refused, now or in an earlier
 * attempt: what waits for that would wait for ever.
 *
 * @throws InputError that says why it was refused
 */
async function checkNothingRefused(stream: RolloutStream, place: string): Promise<void> {
  for (const topic of Object.values<Topic>(topics)) {
    for await (const { value } of stream.readAll(deadLetterTopic(topic))) {
      throw new InputError(
        `${value.topic}, offset ${value.offset}: nothing can be made of this record: ${value.reason} ` +
          `When that is mended, delete ${place}, then resume the experiment.`,
      );
    }
  }
}
