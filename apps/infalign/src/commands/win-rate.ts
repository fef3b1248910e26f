import { bootstrapMean, InputError, parseProcedure, type Procedure, winRateEstimator } from '@infalign/core';
import type { RewardPair } from '@infalign/datasets';
import { Command } from 'commander';
import { fileJoinOptions, memoryOption } from '../file-join-options.js';
import { interruptible } from '../interruption.js';
import { parseNumericOption } from '../numeric-option.js';
import { createProgress } from '../progress.js';
import { writeStandardOutput } from '../standard-output.js';

interface WinRateOptions {
  policy: string;
  reference: string;
  procedure: string;
  seed: string;
  memory: string;
  json?: boolean;
}

/** `infalign win-rate`: how often a policy beats the reference policy, both behind an inference-time procedure. */
export function winRateCommand(): Command {
  return new Command('win-rate')
    .summary('estimate a win rate, with its interval, from files of rewards')
    .description(
      `Estimates how often a policy beats the reference policy when both are used through an inference-time procedure:
without bias, from all subsets of each prompt's samples, with a 95 % bootstrap interval over prompts.

Both files are JSON Lines, one prompt a line, with the same prompts in any order; .gz names are decompressed:
  {"prompt_id": "p1", "rewards": [0.1, 0.7, …]}
A prompt needs at least as many rewards, in both files, as the procedure draws.`,
    )
    .requiredOption('--policy <file>', "rewards of the policy's samples")
    .requiredOption('--reference <file>', "rewards of the reference policy's samples")
    .requiredOption('--procedure <procedure>', 'standard, bon:N, won:N, kth:K/N, or a mixture, mix:bon:1@0.5+bon:4@0.5')
    .option('--seed <number>', 'of the bootstrap', '0')
    .addOption(memoryOption())
    .option('--json', 'write one JSON object and nothing else')
    .addHelpText(
      'after',
      `
Examples:
  infalign win-rate --policy policy.jsonl --reference reference.jsonl --procedure bon:4
  infalign win-rate --policy policy.jsonl --reference reference.jsonl.gz --procedure won:4 --json`,
    )
    .action(winRate);
}

async function winRate(options: WinRateOptions): Promise<void> {
  const joining = fileJoinOptions(options.memory);
  const procedure = parseProcedure(options.procedure);
  const seed = parseNumericOption('--seed', options.seed, 'a whole number', Number.isSafeInteger);
  const { joinRewards } = await import('@infalign/datasets');
  const progress = await createProgress({ silent: options.json === true });
  const estimates = createEstimates(options, procedure);
  try {
    await interruptible((signal) =>
      joinRewards(options.policy, options.reference, { ...joining, signal, progress }, estimates.add),
    );
  } finally {
    progress.stop();
  }

  const winRates = estimates.sorted();
  const interval = bootstrapMean(winRates, { seed, resamples: resamplesFor(winRates.length) });
  await writeStandardOutput(
    options.json === true
      ? `${JSON.stringify({
          procedure: procedure.name,
          win_rate: interval.mean,
          ci_low: interval.low,
          ci_high: interval.high,
          prompts: interval.count,
        })}\n`
      : `${procedure.name}: win rate ${interval.mean.toFixed(4)}, 95 % interval ${interval.low.toFixed(4)} to ` +
          `${interval.high.toFixed(4)}, over ${interval.count} ${interval.count === 1 ? 'prompt' : 'prompts'}\n`,
  );
}

/** Keeps one number a prompt, which is all that the bootstrap needs. */
function createEstimates(files: { policy: string; reference: string }, procedure: Procedure) {
  const draws = Math.max(...procedure.orderStatistics.map((statistic) => statistic.draws));
  const estimate = winRateEstimator(procedure);
  let winRates = new Float64Array(1024);
  let count = 0;
  return {
    add(this: void, pair: RewardPair): void {
      requireDraws(files.policy, pair.policyLine, pair.promptId, pair.policyRewards.length);
      requireDraws(files.reference, pair.referenceLine, pair.promptId, pair.referenceRewards.length);
      if (count === winRates.length) {
        const larger = new Float64Array(Math.ceil(1.5 * count));
        larger.set(winRates);
        winRates = larger;
      }
      winRates[count++] = estimate(pair.policyRewards, pair.referenceRewards);
    },
    /** In an order that does not depend on the files', so that neither does the result. */
    sorted: () => winRates.subarray(0, count).sort(),
  };

  function requireDraws(file: string, line: number, promptId: string, samples: number): void {
    if (samples >= draws) return;
    throw new InputError(
      `${file}:${line}: prompt "${promptId}" has ${samples} ${samples === 1 ? 'reward' : 'rewards'}, but ` +
        `${procedure.name} draws ${draws}; give it at least ${draws}, or choose a smaller N`,
    );
  }
}

/** 1000, but fewer above half a million prompts, where the interval is narrow and resampling slow. */
function resamplesFor(prompts: number): number {
  return Math.max(200, Math.min(1000, Math.floor(5e8 / prompts)));
}
