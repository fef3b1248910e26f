import { InputError, theory } from '@infalign/core';
import { Command } from 'commander';
import { parseNumericOption } from '../numeric-option.js';
import { writeStandardOutput } from '../standard-output.js';

interface TheoryOptions {
  procedure: string;
  transform: string;
  beta?: string;
  kl?: string;
  json?: boolean;
}

/** `infalign theory`: the exact trade-off between KL and win rate. */
export function theoryCommand(): Command {
  return new Command('theory')
    .summary('compute the exact KL and win rate of a transformation')
    .description(
      `Computes what the policy reaches that is exactly optimal for a transformation of the calibrated reward: its KL from
the reference policy in nats, and its win rate over it, plain and through an inference-time procedure. With calibrated
rewards this depends on neither the reward nor the reference policy.

β is the raw one, which belongs to the transformation as its formula stands.`,
    )
    .requiredOption('--procedure <procedure>', 'standard, bon:N, won:N, kth:K/N, or a mixture, mix:bon:1@0.5+bon:4@0.5')
    .requiredOption('--transform <transformation>', 'identity, log, exp:T, or optimal: the best one for the procedure')
    .option('--beta <number>', 'strength of the KL penalty, above 0')
    .option('--kl <nats>', 'or the KL that the policy is to have, above 0')
    .option('--json', 'write one JSON object and nothing else')
    .addHelpText(
      'after',
      `
Examples:
  infalign theory --procedure bon:4 --transform exp:10 --kl 0.5
  infalign theory --procedure won:4 --transform optimal --beta 0.3 --json`,
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
  const point = theory({
    procedure: options.procedure,
    transform: options.transform,
    ...(options.beta === undefined ? {} : { beta: positive('--beta', options.beta) }),
    ...(options.kl === undefined ? {} : { kl: positive('--kl', options.kl) }),
  });
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

function positive(option: string, text: string): number {
  return parseNumericOption(option, text, 'a number above 0', (value) => value > 0);
}
