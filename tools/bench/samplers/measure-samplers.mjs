/* global AbortController */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PpoLearnerServiceService } from '@infalign/contracts';
import { seededRandom } from '@infalign/core';
import { initialWeights, trainTokenizer } from '@infalign/language-model';
import { checkpointNames, runIdOf, stepNames, storeModel, storeText } from '@infalign/pipeline';
import { parseExperiment } from '@infalign/run-config';
import { isPoison, openKafkaStream, topics } from '@infalign/rollout-stream';
import { createRpcClient } from '@infalign/rpc';
import { startFiveServices } from '../../services/five-services.mjs';
import { median } from '../median.mjs';

const partitions = 6;
const prompts = 48;
/** Of each prompt in each run: a batch, large enough that a step computes more than it reads. */
const references = 256;
/** A sampler has its share of the partitions, and has compiled its code, after so long. */
const settlingSeconds = 10;
/** The partitions of one that was killed have gone to the other after so long: the group waits 10 s for a silent member. */
const takeOverSeconds = 15;
/** What is left at the end has been sampled after so long, or is lost. */
const longestEndMs = 180_000;

/** @param {{ rounds: number, seconds: number, tell: (text: string) => void }} options */
export async function measureSamplers({ rounds, seconds, tell }) {
  const world = await startFiveServices({ partitions, names: ['ppo-learner', 'policy-sampler'] });
  const stream = await openKafkaStream({ brokers: [world.brokers], clientId: 'bench', partitions });
  const learner = createRpcClient(PpoLearnerServiceService, { address: world.services['ppo-learner'].address });
  const ending = new AbortController();
  try {
    storeModels(join(world.store, 'bench'));
    const counter = countRollouts(stream, ending.signal);
    const work = keepBusy(learner, counter, ending.signal);
    const rates = { one: [], two: [] };
    const count = async (what, round) => {
      const before = counter.seen();
      const start = performance.now();
      await work.while(sleep(seconds * 1000));
      const rate = (counter.seen() - before) / ((performance.now() - start) / 1000);
      rates[what].push(rate);
      tell(`round ${round} of ${rounds}, ${what}: ${rate.toFixed(0)} rollouts/s`);
    };
    await work.while(sleep(2 * settlingSeconds * 1000));
    for (let round = 1; round <= rounds; round++) {
      await count('one', round);
      const second = await world.startAnother('policy-sampler');
      await work.while(sleep(settlingSeconds * 1000));
      await count('two', round);
      await second.kill();
      await work.while(sleep(takeOverSeconds * 1000));
    }
    const total = await work.end();
    await world.startAnother('policy-sampler');
    tell(`${counter.seen()} of ${total} rollouts: waiting for the others`);
    const deadline = performance.now() + longestEndMs;
    while (counter.seen() < total && performance.now() < deadline) await sleep(100);
    // What is there twice would have come by now.
    await sleep(1000);
    const [one, two] = [median(rates.one), median(rates.two)];
    // Within a round: the machine's own speed changes from round to round.
    const ratio = median(rates.two.map((rate, round) => rate / rates.one[round]));
    const row = {
      case: 'sampling, two samplers of one thread beside one',
      ours: Math.round(two),
      peer: 'one sampler',
      peer_value: Math.round(one),
      unit: 'rollouts/s',
      ratio: Number(ratio.toFixed(2)),
    };
    return { rows: [row], lost: total - counter.seen(), doubled: counter.doubled() };
  } finally {
    ending.abort();
    learner.close();
    await stream.close();
    await world.stop();
    world.remove();
  }
}

/** Counts the rollouts that are sampled, until the signal is given. */
function countRollouts(stream, signal) {
  const rollouts = new Set();
  let doubled = 0;
  const counting = (async () => {
    const reader = await stream.follow(topics.rolloutSampled);
    while (!signal.aborted) {
      const records = await reader.read(1000);
      for (const record of records) {
        if (isPoison(record)) continue;
        if (rollouts.has(record.value.rolloutId)) doubled++;
        rollouts.add(record.value.rolloutId);
      }
      if (records.length === 0) await reader.changed(200);
    }
    await reader.close();
  })();
  counting.catch(() => undefined);
  return { seen: () => rollouts.size, doubled: () => doubled };
}

/** Starts runs of reference rollouts so that there is always work for many seconds, until it is ended. */
function keepBusy(learner, counter, signal) {
  const step = stepNames.trainingReferences;
  let started = 0;
  const working = new AbortController();
  const starting = (async () => {
    while (!signal.aborted && !working.signal.aborted) {
      if (prompts * references * started - counter.seen() < prompts * references) {
        const experiment = experimentText(`run-${started + 1}`);
        await learner.startRun({
          runId: runIdOf(parseExperiment(experiment, 'run'), step),
          experiment,
          step,
          checkpoints: 'bench',
        });
        started++;
      } else await sleep(100);
    }
  })();
  starting.catch(() => undefined);
  return {
    /** Waits for that, unless starting runs fails before. */
    while: (waiting) => Promise.race([waiting, starting]),
    /** @returns how many rollouts were asked for in all */
    async end() {
      working.abort();
      await starting;
      return prompts * references * started;
    },
  };
}

/** Three million parameters: a rollout costs a sampler some milliseconds, the broker and the count a small part of one. */
const model = {
  hidden_size: 256,
  intermediate_size: 704,
  layers: 4,
  heads: 8,
  key_value_heads: 8,
};

/** JSON, which is YAML; prompts and responses are as long as the quickstart's. */
function experimentText(name) {
  return JSON.stringify({
    name,
    dataset: { kind: 'state-of-the-union' },
    prompts: { tokens: 16, train: prompts, calibration: 4, evaluation: 6 },
    tokenizer: { vocabulary: 257 },
    model,
    sampling: { max_response_tokens: 20, batch_rollouts: references },
    calibration: { references },
    runs: { methods: ['ppo/identity'], target_kls: [1] },
    stream: { partitions },
  });
}

/** Stores untrained models, with prompts. @param {string} folder */
function storeModels(folder) {
  const { model } = parseExperiment(experimentText('sizes'), 'sizes');
  const tokenizer = trainTokenizer([], 257);
  const config = {
    vocabSize: tokenizer.vocabSize,
    hiddenSize: model.hiddenSize,
    intermediateSize: model.intermediateSize,
    layers: model.layers,
    heads: model.heads,
    keyValueHeads: model.keyValueHeads,
    maxPositions: model.context,
    ropeTheta: 10_000,
    rmsNormEpsilon: 1e-5,
    tieWordEmbeddings: true,
    eosTokenId: tokenizer.endOfText,
  };
  const random = seededRandom('prompts', 1);
  const drawn = Array.from({ length: prompts }, (_, index) => ({
    id: `train-${index}`,
    text: '',
    tokens: Array.from({ length: 16 }, () => 1 + random.integer(250)),
  }));
  storeText(join(folder, checkpointNames.text), {
    tokenizer,
    training: new Uint16Array(64),
    heldOut: new Uint16Array(64),
    prompts: { train: drawn, calibration: [], evaluation: [], reward: [], judge: [] },
    humanPairs: { reward: [], judge: [] },
  });
  for (const [name, head] of [
    [checkpointNames.basePolicy, 'language-model'],
    [checkpointNames.rewardModel, 'reward'],
    [checkpointNames.judge, 'reward'],
  ]) {
    storeModel(join(folder, name), {
      config,
      weights: initialWeights(config, [head], 1),
      tokenizerJson: tokenizer.toJson(),
    });
  }
}
