import { join } from 'node:path';
import { checkLogProbs } from '../model/agreement.mjs';
import { cases } from '../model/cases.mjs';
import { startOurs } from '../model/ours.mjs';
import { startTrl } from '../peers/pytorch.mjs';
import { inTurns, rateRow } from '../peers/rounds.mjs';

const count = 64;
const promptTokens = 48;
const newTokens = 48;
const ppo = {
  epochs: 4,
  minibatches: 4,
  learningRate: 1e-5,
  clipEpsilon: 0.2,
  valueClipEpsilon: 0.2,
  valueCoefficient: 0.1,
  gamma: 1,
  gaeLambda: 0.95,
};

/**
 * @param {{ folder: string, rounds: number, threads: number, tell: (text: string) => void }} options folder: for models
 */
export async function measurePpo({ folder, rounds, threads, tell }) {
  const ours = await startOurs('tools/bench/ppo/our-worker.mjs', threads);
  const trl = await startTrl(threads);
  try {
    const models = { policyFolder: join(folder, 'policy'), rewardFolder: join(folder, 'reward-model') };
    const { config } = cases.small;
    const prompts = await ours.worker.call('write', { config, count, promptTokens, ...models });
    const given = { ...models, prompts, newTokens, ppo };
    await ours.worker.call('load', given);
    await trl.worker.call('load', given);

    const [judged, theirs] = [
      await ours.worker.call('judge', { tokens: prompts }),
      await trl.worker.call('judge', { tokens: prompts }),
    ];
    const difference = Math.max(
      checkLogProbs('policy', judged.logProbs, theirs.logProbs),
      checkLogProbs('reward model', [judged.rewards], [theirs.rewards]),
    );
    tell(`log-probabilities and rewards agree within ${difference.toExponential(1)}`);

    tell('PPO, rollouts/s');
    const rate = async ({ worker }) => count / (await worker.call('iterate')).seconds;
    const measured = await inTurns(rounds, { ours: () => rate(ours), trl: () => rate(trl) }, tell);
    return {
      versions: { ...ours.versions, ...trl.versions },
      rows: [rateRow('PPO, a whole iteration', 'rollouts/s', measured.ours, 'TRL PPOTrainer', measured.trl)],
    };
  } finally {
    await Promise.all([ours.worker.stop(), trl.worker.stop()]);
  }
}
