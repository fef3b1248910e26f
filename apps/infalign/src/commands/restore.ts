import { readFileSync } from 'node:fs';
import { InputError } from '@infalign/core';
import { Command } from 'commander';
import { servicesFileOption, servicesOptions } from '../services-options.js';
import { writeStandardOutput } from '../standard-output.js';

interface RestoreOptions {
  from: string;
  json?: boolean;
  services: string;
}

/** `infalign restore`: the runs of a backup, in new topics. */
export function restoreCommand(): Command {
  return new Command('restore')
    .summary('bring the runs of a backup back to empty topics')
    .description(
      `Announces the runs of a backup in topics that are empty, and asks again for what was under way after the policy versions
that they had announced last: services go on from there, and come to the same. Needs the checkpoint store of before.`,
    )
    .requiredOption('--from <file>', 'what infalign backup has written')
    .option('--json', 'write what was restored as one JSON object')
    .addOption(servicesFileOption())
    .addHelpText('after', '\nExample:\n  infalign restore --from backup.jsonl')
    .action(restore);
}

async function restore(options: RestoreOptions): Promise<void> {
  const { parseBackup, restoreRuns } = await import('@infalign/pipeline');
  const backup = parseBackup(read(options.from), options.from);
  const { openStore, openStream } = await import('@infalign/services');
  const { services, logger, credentials } = await servicesOptions(options.services);
  const store = openStore(services, credentials);
  const stream = await openStream('infalign-restore', services, logger);
  try {
    const runs = await restoreRuns(stream, store, backup);
    await writeStandardOutput(
      options.json === true
        ? `${JSON.stringify({ runs })}\n`
        : runs
            .map(
              ({ runId, iteration, rollouts }) =>
                `${runId}: ${iteration > 0 ? `after iteration ${iteration}, ` : ''}${rollouts} rollouts asked for\n`,
            )
            .join('') + `${runs.length} runs are restored.\n`,
    );
  } finally {
    await stream.close();
    await store.close();
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
}
