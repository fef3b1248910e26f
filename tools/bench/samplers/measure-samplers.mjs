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
const prompts = 192;
/** A sampler has its share of the partitions, and has compiled its code, after so long. */
const settlingSeconds = 10;
/** The partitions of one that was killed have gone to the other after so long: the group waits 10 s for a silent member. */
const takeOverSeconds = 15;

/** @param {{ rounds: number, seconds: number, tell: (text: string) => void }} options */
export async function measureSamplers({ rounds, seconds, tell }) {
  const world = await startFiveServices({ partitions, names: ['ppo-learner', 'policy-sampler'] });
  const stream = await openKafkaStream({ brokers: [world.brokers], clientId: 'bench', partitions });
  const learner = createRpcClient(PpoLearnerServiceService, { address: world.services['ppo-learner'].address });
  try {
    storeModels(join(world.store, 'bench'));
    const rate = await warmRate(learner, stream, tell);
    // Enough for all that is counted, with two of them at work all the time.
    const duration = rounds * (2 * seconds + 2 * settlingSeconds + takeOverSeconds);
    const references = Math.ceil((1.2 * 2 * rate * duration) / prompts);
    const total = prompts * references;
    const counting = await startRun(learner, stream, 'counted', references);
    const rates = { one: [], two: [] };
    const count = async (what, round) => {
      const before = counting.seen();
      const start = performance.now();
      await sleep(seconds * 1000);
      const made = (counting.seen() - before) / ((performance.now() - start) / 1000);
      rates[what].push(made);
      tell(`round ${round} of ${rounds}, ${what}: ${made.toFixed(0)} rollouts/s`);
    };
    await sleep(settlingSeconds * 1000);
    for (let round = 1; round <= rounds; round++) {
      await count('one', round);
      const second = await world.startAnother('policy-sampler');
      await sleep(settlingSeconds * 1000);
      await count('two', round);
      await second.kill();
      await sleep(takeOverSeconds * 1000);
    }
    tell(`${counting.seen()} of ${total} rollouts: waiting for the others`);
    await world.startAnother('policy-sampler');
    const { found, doubled } = await counting.ended(total);
    const [one, two] = [median(rates.one), median(rates.two)];
    const row = {
      case: 'sampling, two samplers of one thread beside one',
      ours: Math.round(two),
      peer: 'one sampler',
      peer_value: Math.round(one),
      unit: 'rollouts/s',
      ratio: Number((two / one).toFixed(2)),
    };
    return { rows: [row], lost: total - found, doubled };
  } finally {
    learner.close();
    await stream.close();
    await world.stop();
    world.remove();
  }
}

/** A sampler's rate, in rollouts a second: that of a short run. */
async function warmRate(learner, stream, tell) {
  const references = 20;
  const run = await startRun(learner, stream, 'warm-up', references);
  await run.until(1);
  const start = performance.now();
  const before = run.seen();
  await run.ended(prompts * references);
  const rate = (prompts * references - before) / ((performance.now() - start) / 1000);
  tell(`warm-up: ${rate.toFixed(0)} rollouts/s`);
  return rate;
}

/** Starts a run of reference rollouts, and counts them. */
async function startRun(learner, stream, name, references) {
  const experiment = experimentText(name, references);
  const step = stepNames.trainingReferences;
  const runId = runIdOf(parseExperiment(experiment, name), step);
  const reader = await stream.follow(topics.rolloutSampled, await stream.endOffsets(topics.rolloutSampled));
  await learner.startRun({ runId, experiment, step, checkpoints: 'bench' });
  const rollouts = new Set();
  let doubled = 0;
  let wanted = Infinity;
  const reading = (async () => {
    while (rollouts.size < wanted) {
      const records = await reader.read(1000);
      for (const record of records) {
        if (isPoison(record) || record.value.runId !== runId) continue;
        if (rollouts.has(record.value.rolloutId)) doubled++;
        rollouts.add(record.value.rolloutId);
      }
      if (records.length === 0) await reader.changed(200);
    }
    await reader.close();
  })();
  const until = async (count) => {
    while (rollouts.size < count) await sleep(50);
  };
  return {
    seen: () => rollouts.size,
    until,
    async ended(total) {
      await until(total);
      // What is there twice would have come by now.
      await sleep(500);
      wanted = 0;
      await reading;
      return { found: rollouts.size, doubled };
    },
  };
}

/** JSON, which is YAML; models and prompts are as long as the quickstart's. */
function experimentText(name, references) {
  return JSON.stringify({
    name,
    dataset: { kind: 'state-of-the-union' },
    prompts: { tokens: 16, train: prompts, calibration: 4, evaluation: 6 },
    tokenizer: { vocabulary: 257 },
    sampling: { max_response_tokens: 20, batch_rollouts: 64 },
    calibration: { references },
    runs: { transforms: ['identity'], target_kls: [1] },
    stream: { partitions },
  });
}

/** Stores untrained models of the default size, with prompts. @param {string} folder */
function storeModels(folder) {
  const { model } = parseExperiment(experimentText('sizes', 100), 'sizes');
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
