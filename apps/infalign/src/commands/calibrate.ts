import {
  calibrateLeaveOneOut,
  calibrateReward,
  identityTransformation,
  parseTransformation,
  transformEstimate,
} from '@infalign/core';
import type { RolloutMeasure } from '@infalign/datasets';
import { Command } from 'commander';
import { fileJoinOptions, memoryOption } from '../file-join-options.js';
import { interruptible } from '../interruption.js';
import { createProgress } from '../progress.js';
import { writeStandardOutput } from '../standard-output.js';

interface CalibrateOptions {
  rollouts: string;
  reference: string;
  transform: string;
  normalised?: boolean;
  leaveOneOut?: boolean;
  memory: string;
  out?: string;
}

/** `infalign calibrate`: adds calibrated and transformed rewards to a file of rollouts. */
export function calibrateCommand(): Command {
  return new Command('calibrate')
    .summary('add calibrated and transformed rewards to a file of rollouts')
    .description(
      `Adds to each rollout its calibrated reward, the share of its prompt's reference rewards that it beats (ties count
half), and the transformed reward: the transformation of it, raw.

Both files are JSON Lines; .gz names are decompressed:
  rollouts   {"prompt_id": "p1", "reward": 0.7, …}      one rollout a line; other fields are kept
  reference  {"prompt_id": "p1", "rewards": [0.1, …]}   one prompt a line, in any order

The output has the rollouts' lines in their order, each with two more fields:
  {…, "calibrated_reward": 0.85, "transformed_reward": 0.85}`,
    )
    .requiredOption('--rollouts <file>', 'the rollouts to calibrate')
    .requiredOption('--reference <file>', 'rewards of the reference policy')
    .option('--transform <transformation>', 'identity, log or exp:T', identityTransformation.name)
    .option(
      '--normalised',
      'transformed rewards of mean 0 and variance 1 under the reference policy, instead of raw ones',
    )
    .option('--leave-one-out', 'the rollouts are themselves among the reference rewards: leave each out of its own')
    .addOption(memoryOption())
    .option('--out <file>', 'where to write, complete or not at all (default: standard output)')
    .addHelpText(
      'after',
      `
Examples:
  infalign calibrate --rollouts rollouts.jsonl --reference reference.jsonl --out calibrated.jsonl
  infalign calibrate --rollouts rollouts.jsonl --reference reference.jsonl.gz --transform exp:10 | head`,
    )
    .action(calibrate);
}

async function calibrate(options: CalibrateOptions): Promise<void> {
  const joining = fileJoinOptions(options.memory);
  const measure = rolloutMeasure(options);
  const { annotateRollouts, writeFileAtomically } = await import('@infalign/datasets');
  const progress = await createProgress();
  try {
    await interruptible(async (signal) => {
      const run = (write: (bytes: Uint8Array) => Promise<void>) =>
        annotateRollouts(options.rollouts, options.reference, { ...joining, signal, progress }, measure, write);
      await (options.out === undefined ? run(writeStandardOutput) : writeFileAtomically(options.out, run));
    });
  } finally {
    progress.stop();
  }
}

function rolloutMeasure({ transform, normalised = false, leaveOneOut = false }: CalibrateOptions): RolloutMeasure {
  const transformation = parseTransformation(transform);
  const calibratedReward = leaveOneOut ? calibrateLeaveOneOut : calibrateReward;
  return {
    prepare: (references) => references.sort(),
    fields: ['calibrated_reward', 'transformed_reward'],
    measure(reward, references) {
      const calibrated = calibratedReward(reward, references);
      const count = leaveOneOut ? references.length - 1 : references.length;
      return [calibrated, transformEstimate(transformation, calibrated, count, { normalised })];
    },
  };
}
