import {
  InputError,
  optimumOnRewards,
  parseProcedure,
  theory,
  type FrontierPoint,
  type Strength,
} from '@infalign/core';
import { Command } from 'commander';
import { interruptible } from '../interruption.js';
import { parseNumericOption } from '../numeric-option.js';
import { writeStandardOutput } from '../standard-output.js';

interface TheoryOptions {
  procedure: string;
  transform: string;
  beta?: string;
  kl?: string;
  rewards?: string;
  json?: boolean;
}

/** `infalign theory`: the exact trade-off between KL and win rate. */
export function theoryCommand(): Command {
  return new Command('theory')
    .summary('compute the exact KL and win rate of a transformation, or those of a raw reward')
    .description(
      `Computes what the policy reaches that is exactly optimal for a transformation of the calibrated reward: its KL from
the reference policy in nats, and its win rate over it, plain and through an inference-time procedure. With calibrated
rewards this depends on neither the reward nor the reference policy.

β is the raw one, which belongs to the transformation as its formula stands.

What the reward as it is can come to depends on its distribution. --transform raw estimates it from rewards of the reference
policy: what calibration is worth for them, and which β has which KL, before anything is trained. The file is JSON Lines, one
prompt a line, in the order in which responses were sampled; .gz names are decompressed:
  {"prompt_id": "p1", "rewards": [0.1, 0.7, …]}`,
    )
    .requiredOption('--procedure <procedure>', 'standard, bon:N, won:N, kth:K/N, or a mixture, mix:bon:1@0.5+bon:4@0.5')
    .requiredOption(
      '--transform <transformation>',
      'identity, log, exp:T, optimal: the best one for the procedure, or raw: none, with --rewards',
    )
    .option('--beta <number>', 'strength of the KL penalty, above 0')
    .option('--kl <nats>', 'or the KL that the policy is to have, above 0')
    .option('--rewards <file>', 'rewards of the reference policy, for --transform raw')
    .option('--json', 'write one JSON object and nothing else')
    .addHelpText(
      'after',
      `
Examples:
  infalign theory --procedure bon:4 --transform exp:10 --kl 0.5
  infalign theory --procedure won:4 --transform optimal --beta 0.3 --json
  infalign theory --procedure bon:4 --transform raw --rewards reference.jsonl --kl 0.5`,
    )
    .action(showTheory);
}

async function showTheory(options: TheoryOptions): Promise<void> {
  if (options.beta !== undefined && options.kl !== undefined) {
    throw new InputError('--beta and --kl contradict each other, for each determines the other; give one of them');
  }
  if (options.beta === undefined && options.kl === undefined) {
    throw new InputError('neither --beta nor --kl is given; give one of them, for example --kl 0.5');
  }
  const strength =
    options.kl === undefined ? { beta: positive('--beta', options.beta!) } : { kl: positive('--kl', options.kl) };
  const { procedure, transform, rewards } = options;
  const point =
    transform.trim() === 'raw'
      ? await rawPoint(procedure, rewards, strength)
      : theory({ procedure, transform, ...strength });
  if (rewards !== undefined && point.transform !== 'raw') {
    throw new InputError(`--rewards is for --transform raw: what ${transform} comes to depends on no rewards`);
  }
  await writeStandardOutput(
    options.json === true
      ? `${JSON.stringify({
          procedure: point.procedure,
          transform: point.transform,
          beta: point.beta,
          kl: point.kl,
          standard_win_rate: point.standardWinRate,
          win_rate: point.winRate,
        })}\n`
      : [
          ['procedure', point.procedure],
          ['transformation', point.transform],
          ['β (raw)', point.beta.toPrecision(6)],
          ['KL (nats)', point.kl.toPrecision(6)],
          ['standard win rate', point.standardWinRate.toFixed(6)],
          ['win rate', point.winRate.toFixed(6)],
        ]
          .map(([name, value]) => `${name!.padEnd(18)} ${value!}\n`)
          .join(''),
  );
}

async function rawPoint(name: string, file: string | undefined, strength: Strength): Promise<FrontierPoint> {
  const procedure = parseProcedure(name);
  if (file === undefined) {
    throw new InputError('--transform raw depends on the rewards: name a file of them with --rewards');
  }
  const { readRewards } = await import('@infalign/datasets');
  const rewards = await interruptible((signal) => readRewards(file, { signal }));
  const { beta, kl, standardWinRate, winRate } = optimumOnRewards(rewards, strength);
  return { procedure: procedure.name, transform: 'raw', beta, kl, standardWinRate, winRate: winRate(procedure) };
}

function positive(option: string, text: string): number {
  return parseNumericOption(option, text, 'a number above 0', (value) => value > 0);
}
