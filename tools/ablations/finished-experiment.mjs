import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { readCheckpoint } from '@infalign/checkpoint';
import { Purpose } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import { experimentFolder, openExperiment } from '@infalign/experiment';
import { createLanguageModel } from '@infalign/language-model';
import { checkpointNames, criticOf, policyRuns, readModel, readText, stepNames } from '@infalign/pipeline';
import { openEmbeddedStream, topics } from '@infalign/rollout-stream';

const needed = [stepNames.text, stepNames.base, stepNames.rewardModel, stepNames.judge, stepNames.trainingReferences];

/**
 * What the ablations take from the folder of an experiment. Nothing is written to it.
 *
 * @param {string} path
 * @throws InputError if the folder holds no experiment, or a step that is needed has not been done
 */
export function openFinishedExperiment(path) {
  const experiment = openExperiment(path);
  const folder = experimentFolder(path);
  const open = needed.filter((step) => !folder.isDone(step));
  if (open.length > 0) {
    throw new InputError(`${path}: the experiment has not done ${open.join(', ')}. Run it again with --resume.`);
  }
  const alignedRun = policyRuns(experiment).find(({ name }) => folder.isDone(name));
  if (!alignedRun) {
    throw new InputError(`${path}: the experiment has not trained a policy yet. Run it again with --resume.`);
  }
  const stored = (name) => readModel(folder.step(name));
  const models = new Map();
  /** A model to compute with. It is read once, and kept until `dispose`. */
  const model = (name, read = stored) => {
    if (!models.has(name)) {
      const { config, weights } = read(name);
      models.set(name, createLanguageModel(config, weights));
    }
    return models.get(name);
  };
  let trainingReferences;
  return {
    path,
    experiment,
    /** The sets of prompts, by name. */
    prompts: readText(folder.step(checkpointNames.text)).prompts,
    /** The first policy run of the experiment that is done. */
    alignedRun,
    /** Where its final policy lies, to be opened as a model. */
    alignedPolicy: finalPolicy(folder, alignedRun),
    /** A model as data: its configuration, weights and content hash. */
    stored,
    /** A stored model to compute with. It is kept until `dispose`. */
    model: (name) => model(name),
    /** A model of one's own to compute with, by a name of its own. It is kept until `dispose`. */
    ownModel: (name, data) => model(name, () => data),
    /**
     * The runs of a method, one a seed, at the lowest target KL at which one is done.
     *
     * @returns {{ name: string, seed: number, targetKl: number, policy: string }[]} policy: its name, to be opened as a model
     */
    runsAtLowestKl(method) {
      const done = policyRuns(experiment).filter(
        (run) => run.method === method && run.targetKl !== undefined && folder.isDone(run.name),
      );
      const targetKl = Math.min(...done.map((run) => run.targetKl));
      return done
        .filter((run) => run.targetKl === targetKl)
        .map((run) => ({ name: run.name, seed: run.seed, targetKl, policy: finalPolicy(folder, run) }));
    },
    /** The critic that a run has learned with at its end, to compute with; undefined where it learned without one. */
    critic({ name, policy }) {
      const learner = join(name, 'learner', basename(policy));
      const weights = criticOf(readCheckpoint(folder.step(learner)));
      const { config } = model(checkpointNames.rewardModel);
      return weights && model(learner, () => ({ config, weights }));
    },
    /** The reference rollouts of the training prompts, in the order of the prompts. */
    trainingReferences: () =>
      (trainingReferences ??= readReferences(folder.step(stepNames.trainingReferences), experiment.stream.partitions)),
    dispose() {
      for (const model of models.values()) model.dispose();
      models.clear();
    },
  };
}

function finalPolicy(folder, { name }) {
  const { policyVersion } = folder.result(name).evaluation[0];
  return join(name, 'policies', `version-${policyVersion}`);
}

/**
 * A log is opened by who may write to it: a copy is.
 *
 * @returns {Promise<{ promptId: string, promptTokens: number[], responses: number[][], rewards: number[] }[]>}
 */
async function readReferences(step, partitions) {
  const place = mkdtempSync(join(tmpdir(), 'infalign-ablations-'));
  try {
    cpSync(join(step, 'log'), place, { recursive: true });
    const stream = openEmbeddedStream(place, { partitions });
    try {
      const found = new Map();
      for await (const { value } of stream.readAll(topics.rolloutScored)) {
        const { promptId, promptTokens, responseTokens, purpose } = value.rollout;
        if (purpose !== Purpose.PURPOSE_REFERENCE) continue;
        if (!found.has(promptId)) found.set(promptId, { promptId, promptTokens, responses: [], rewards: [] });
        found.get(promptId).responses.push(responseTokens);
        found.get(promptId).rewards.push(value.reward.reward);
      }
      return [...found.values()];
    } finally {
      await stream.close();
    }
  } finally {
    rmSync(place, { recursive: true });
  }
}
