import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Purpose } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import { experimentFolder, openExperiment } from '@infalign/experiment';
import { createLanguageModel } from '@infalign/language-model';
import { checkpointNames, policyRuns, readModel, readText, stepNames } from '@infalign/pipeline';
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
  return {
    experiment,
    /** The sets of prompts, by name. */
    prompts: readText(folder.step(checkpointNames.text)).prompts,
    /** The first policy run of the experiment that is done. */
    alignedRun,
    /** Where its final policy lies, to be opened as a model. */
    alignedPolicy: finalPolicy(folder, alignedRun),
    /** A model as data: its configuration, weights and content hash. */
    stored,
    /** A model to compute with. It is kept until `dispose`. */
    model(name) {
      if (!models.has(name)) {
        const { config, weights } = stored(name);
        models.set(name, createLanguageModel(config, weights));
      }
      return models.get(name);
    },
    /** The reference rollouts of the training prompts, in the order of the prompts. */
    trainingReferences: () => readReferences(folder.step(stepNames.trainingReferences), experiment.stream.partitions),
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
