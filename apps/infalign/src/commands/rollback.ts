import { InputError } from '@infalign/core';
import { Command } from 'commander';
import { servicesFileOption, servicesOptions } from '../services-options.js';
import { writeStandardOutput } from '../standard-output.js';

interface RollbackOptions {
  to: string;
  json?: boolean;
  services: string;
}

/** `infalign rollback`: an earlier policy version of a run on services, again. */
export function rollbackCommand(): Command {
  return new Command('rollback')
    .summary('go back to an earlier policy version of a run on services')
    .description(
      `Announces a new policy version that has the weights of an earlier one, and the state of its learner; learning goes on
from it. What has been learned since is undone, and stays in the stream. A run that is stopped stays stopped. How many
versions can be gone back to is kept_versions in the services file.`,
    )
    .argument('<run>', "the run's id, as infalign status shows it")
    .requiredOption('--to <version>', 'the policy version; infalign tail policy.versions shows them')
    .option('--json', "write the new version and the run's state as one JSON object")
    .addOption(servicesFileOption())
    .addHelpText(
      'after',
      '\nExample:\n  infalign rollback quickstart-0123456789ab/runs/ppo-exp-5-kl-0.8-seed-1 --to 12',
    )
    .action(rollback);
}

async function rollback(runId: string, options: RollbackOptions): Promise<void> {
  if (!/^[1-9]\d{0,14}$/.test(options.to)) throw new InputError('--to must be a whole number of at least 1');
  const version = Number(options.to);
  const { askLearner } = await import('@infalign/services');
  const { services } = await servicesOptions(options.services);
  const answer = await askLearner(services, (learner) => learner.rollBack({ runId, version }));
  const [again, { iterations, running }] = [answer.version!, answer.state!];
  await writeStandardOutput(
    options.json === true
      ? `${JSON.stringify(answer)}\n`
      : `Version ${again.version} of run ${runId} is what version ${version} was, after iteration ${again.iteration} of ` +
          `${iterations}. ${running ? 'Learning goes on from it.' : 'The run is stopped, and goes on from it when it is started.'}\n`,
  );
}
