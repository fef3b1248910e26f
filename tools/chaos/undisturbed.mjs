import { cpSync, existsSync, readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { openFolderStore } from '@infalign/checkpoint';
import { policyRuns, stepNames } from '@infalign/pipeline';
import { openEmbeddedStream } from '@infalign/rollout-stream';
import { loadExperiment } from '@infalign/run-config';
import { startRun } from './command-line.mjs';
import { joined, streamContents } from './stream-contents.mjs';

/** The steps before the first that services carry out. */
const stepsBefore = [stepNames.text, stepNames.base, stepNames.judgeBase, stepNames.rewardModel, stepNames.judge];

/**
 * Runs the experiment with no services, no broker and no kill: what the disturbed run has to come to.
 *
 * @param {string} experimentFile
 * @param {string} out what is there of it is not done again
 */
export async function runUndisturbed(experimentFile, out) {
  const policy = await undisturbedPolicy(experimentFile, out);
  const experiment = await loadExperiment(experimentFile);
  const { partitions } = experiment.stream;
  const step = policyRuns(experiment)[0].name;
  const contents = [];
  for (const carriedOut of [stepNames.trainingReferences, stepNames.heldOutReferences, step]) {
    const stream = openEmbeddedStream(join(out, carriedOut, 'log'), { partitions });
    try {
      contents.push(await streamContents(stream));
    } finally {
      await stream.close();
    }
  }
  return {
    experiment,
    step,
    contents: joined(contents),
    policy,
    results: resultsOf(out),
    /** Gives another attempt at the experiment what comes before services have to do with it. */
    leaveBeginnings(other) {
      cpSync(join(out, 'experiment.yaml'), join(other, 'experiment.yaml'));
      for (const before of stepsBefore) cpSync(join(out, before), join(other, before), { recursive: true });
    },
  };
}

/**
 * Runs the experiment by the command line of a checkout of the repository.
 *
 * @param {string} experimentFile
 * @param {string} out what is there of it is not done again
 * @param {string} [checkout] this one by default
 * @returns {Promise<string | undefined>} the hash of the weights of the final policy; nothing if there is none
 */
export async function undisturbedPolicy(experimentFile, out, checkout) {
  await startRun([experimentFile, '--out', out, '--resume'], { checkout }).finished;
  const experiment = await loadExperiment(experimentFile);
  const store = openFolderStore(out);
  try {
    return await policyHash(store, policyRuns(experiment)[0].name, experiment);
  } finally {
    await store.close();
  }
}

/**
 * @param {import('@infalign/checkpoint').CheckpointStore} store
 * @param {string} place where the store has the checkpoints of the run
 * @param {import('@infalign/run-config').Experiment} experiment
 * @returns {Promise<string | undefined>} the hash of the weights of the final policy; nothing if there is none
 */
export async function policyHash(store, place, { ppo: { iterations } }) {
  const name = `${place}/policies/version-${iterations}`;
  if (!(await store.has(name))) return undefined;
  const { files } = await store.read(name);
  return createHash('sha256').update(files.get('model.safetensors')).digest('hex');
}

/** What an experiment's results have to be again. @returns {string | undefined} nothing if there are none */
export function resultsOf(out) {
  const file = join(out, 'results.json');
  if (!existsSync(file)) return undefined;
  const ofThisRun = ['machine', 'times'];
  return JSON.stringify(JSON.parse(readFileSync(file, 'utf8')), (key, value) =>
    ofThisRun.includes(key) ? undefined : value,
  );
}
