import { join } from 'node:path';
import { startPyTorch } from '../peers/pytorch.mjs';
import { inTurns, rateRow } from '../peers/rounds.mjs';
import { checkFirstStep, checkLogProbs } from './agreement.mjs';
import { cases } from './cases.mjs';
import { startOurs } from './ours.mjs';
import { randomTokens } from './random-tokens.mjs';

const training = { learningRate: 1e-4, maxGradientNorm: 1 };

/**
 * @param {{ folder: string, names: string[], rounds: number, threads: number, device: string, tell: (text: string) => void }} options
 *   folder: for models; names: of cases; device: that both sides compute on
 */
export async function measureModel({ folder, names, rounds, threads, device, tell }) {
  const ours = await startOurs('tools/bench/model/our-worker.mjs', threads, device);
  const peer = await startPyTorch(threads, device);
  try {
    const rows = [];
    for (const name of names) {
      rows.push(...(await measureCase(name, { ours: ours.worker, peer: peer.worker, folder, rounds, tell })));
    }
    const gpu = device === 'gpu' ? { gpu: await peer.worker.call('gpu') } : {};
    return { machine: { ...gpu, versions: { ...ours.versions, ...peer.versions } }, rows };
  } finally {
    await Promise.all([ours.worker.stop(), peer.worker.stop()]);
  }
}

async function measureCase(name, { ours, peer, folder, rounds, tell }) {
  const { config, training: shape, sampling } = cases[name];
  const place = join(folder, name);
  await ours.call('write', { config, folder: place });
  await ours.call('load', { folder: place });
  await peer.call('load', { model: 'eager', folder: place, compiled: false });
  await peer.call('load', { model: 'compiled', folder: place, compiled: true });

  const batch = { tokens: randomTokens(config.vocabSize, shape.sequences, shape.tokens + 1) };
  const difference = checkLogProbs(
    name,
    await ours.call('log_probs', batch),
    await peer.call('log_probs', { model: 'eager', ...batch }),
  );
  tell(`${name}: log-probabilities agree within ${difference.toExponential(1)}`);

  const prompts = randomTokens(config.vocabSize, sampling.prompts, sampling.promptTokens);
  const rateOf = ({ seconds, tokens }) => tokens / seconds;
  const sample = (given) => async () =>
    rateOf(await peer.call('sample', { ...given, prompts, newTokens: sampling.newTokens }));
  tell(`${name}: sampling, tokens/s`);
  const sampled = await inTurns(
    rounds,
    {
      ours: async () => rateOf(await ours.call('sample', { prompts, newTokens: sampling.newTokens })),
      eager: sample({ model: 'eager', draw: 'multinomial' }),
      eagerInversion: sample({ model: 'eager', draw: 'inversion' }),
      compiled: sample({ model: 'compiled', draw: 'inversion' }),
    },
    tell,
  );

  const steps = { ...batch, ...training, steps: shape.steps };
  const tokens = shape.sequences * shape.tokens * shape.steps;
  const first = await ours.call('train', steps);
  for (const model of ['eager', 'compiled']) {
    checkFirstStep(`${name}, ${model}`, first, await peer.call('train', { model, ...steps }));
  }
  tell(`${name}: training, tokens/s`);
  const trained = await inTurns(
    rounds,
    {
      ours: async () => tokens / (await ours.call('train', steps)).seconds,
      eager: async () => tokens / (await peer.call('train', { model: 'eager', ...steps })).seconds,
      compiled: async () => tokens / (await peer.call('train', { model: 'compiled', ...steps })).seconds,
    },
    tell,
  );
  const unit = 'tokens/s';
  return [
    rateRow(`${name}, training`, unit, trained.ours, 'PyTorch', trained.eager),
    rateRow(`${name}, training`, unit, trained.ours, 'PyTorch, torch.compile', trained.compiled),
    rateRow(`${name}, sampling`, unit, sampled.ours, 'PyTorch', sampled.eager),
    rateRow(`${name}, sampling`, unit, sampled.ours, 'PyTorch, own draw', sampled.eagerInversion),
    rateRow(`${name}, sampling`, unit, sampled.ours, 'PyTorch, own draw, torch.compile', sampled.compiled),
  ];
}
