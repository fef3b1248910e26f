// What telemetry costs: the same work, with it and without it, at the same time, on services that share one broker.
import { join } from 'node:path';
import { startFiveServices } from '../services/five-services.mjs';
import { carryOut } from '../services/real-run.mjs';
import { storeTinyCheckpoints, tinyModel } from '../services/tiny-experiment.mjs';

const partitions = 1;
const checkpoints = 'small';
/** A model of the size of the quickstart's in width, so that what telemetry costs is compared with real work. */
const model = {
  ...tinyModel,
  hiddenSize: 128,
  intermediateSize: 352,
  layers: 3,
  heads: 4,
  keyValueHeads: 4,
  maxPositions: 48,
};
const ppo = { iterations: 8, prompts_per_iteration: 12, rollouts_per_prompt: 16 };
const changes = {
  sampling: { max_response_tokens: 20, batch_rollouts: 64 },
  model: {
    hidden_size: model.hiddenSize,
    intermediate_size: model.intermediateSize,
    layers: model.layers,
    heads: model.heads,
    key_value_heads: model.keyValueHeads,
    context: model.maxPositions,
  },
  ppo,
};

/**
 * Carries out experiments on services with telemetry, as it is by default, and on services without, at the same time.
 *
 * @param {{ collector: { endpoint: string }, rounds: number, tell: (text: string) => void }} options
 * @returns the ratio, with telemetry to without, of the processor time of the five services: the geometric mean over rounds, and its 95 %
 *   interval
 */
export async function measureOverhead({ collector, rounds, tell }) {
  const { openKafkaStream } = await import('@infalign/rollout-stream');
  tell('starting services with telemetry and services without');
  // Each process that is started is to end with this one.
  process.setMaxListeners(30);
  const telemetry = { otlp: { endpoint: collector.endpoint }, prometheus: {} };
  const without = await startFiveServices({ partitions, settings: { stream: { prefix: 'without-' } } });
  const brokers = without.brokers;
  let watched;
  try {
    watched = await startFiveServices({ partitions, brokers, settings: { stream: { prefix: 'with-' }, telemetry } });
    const worlds = [];
    for (const [prefix, world] of Object.entries({ 'without-': without, 'with-': watched })) {
      await storeTinyCheckpoints(join(world.store, checkpoints), model);
      const stream = await openKafkaStream({ brokers: [brokers], clientId: 'overhead', partitions, prefix });
      worlds.push({ world, stream });
    }
    const measured = [];
    // The first round is to warm up.
    for (let round = 0; round <= rounds; round++) {
      // At the same time, so that whatever else slows the machine slows both: one after the other, ratios of rounds spread by 8 %.
      const results = await Promise.all(worlds.map((each) => once(each, `round-${round}`)));
      const processor = results[1] / results[0];
      tell(
        `round ${round}${round === 0 ? ' (to warm up)' : ''}: ${results.map((seconds) => seconds.toFixed(2)).join(' and ')} s of ` +
          `processor time without and with, ratio ${processor.toFixed(4)}`,
      );
      if (round > 0) measured.push(processor);
    }
    for (const { stream } of worlds) await stream.close();
    const logs = measured.map((ratio) => Math.log(ratio));
    const mean = average(logs);
    const spread = Math.sqrt(average(logs.map((log) => (log - mean) ** 2)) / Math.max(1, logs.length - 1));
    return {
      rounds,
      rollouts: ppo.iterations * ppo.prompts_per_iteration * ppo.rollouts_per_prompt,
      processor: Math.exp(mean),
      interval: [Math.exp(mean - 1.96 * spread), Math.exp(mean + 1.96 * spread)],
    };
  } finally {
    await watched?.stop();
    await without.stop();
    watched?.remove();
    without.remove();
  }
}

/** @returns processor seconds that the five services have used for it */
async function once({ world, stream }, name) {
  const used = () => Object.values(world.services).reduce((sum, service) => sum + service.processorSeconds(), 0);
  const before = used();
  await carryOut(world, stream, { name, checkpoints, seconds: 600, changes });
  return used() - before;
}

function average(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
