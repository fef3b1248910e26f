import { join, resolve } from 'node:path';
import { isAlive } from '@infalign/checkpoint';
import { Command, Option } from 'commander';
import { startedServices } from '../service-processes.js';
import { defaultServicesFolder, servicesFileName, servicesOptions } from '../services-options.js';
import { writeStandardOutput } from '../standard-output.js';

/** `infalign status`: services, runs and what waits. */
export function statusCommand(): Command {
  return new Command('status')
    .summary('show services, their runs and what waits')
    .description(
      `Shows the processes that infalign up has started, how many records wait for each service, how many could not be used
(dead letters), and how far the runs are. With --services, all but the processes, of services that run elsewhere.`,
    )
    .option('--folder <folder>', 'as given to infalign up', defaultServicesFolder)
    .addOption(
      new Option('--services <file>', 'the services file of services that infalign up has not started').conflicts(
        'folder',
      ),
    )
    .option('--json', 'write one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  infalign status\n  infalign status --json\n  infalign status --services /etc/infalign/settings/services.yaml',
    )
    .action(async (options: { folder: string; services?: string; json?: boolean }) => {
      const folder = resolve(options.folder);
      const processes = options.services === undefined ? processesIn(folder) : undefined;
      const stream = await streamStatus(options.services ?? join(folder, servicesFileName));
      const status = { ...(processes && { processes }), ...stream };
      await writeStandardOutput(options.json === true ? `${JSON.stringify(status)}\n` : formatted(status));
      if (processes?.length === 0 || processes?.some(({ alive }) => !alive)) process.exitCode = 1;
    });
}

function processesIn(folder: string) {
  const started = startedServices(folder);
  return (started?.processes ?? []).map((each) => ({ ...each, alive: isAlive(each) }));
}

async function streamStatus(servicesFile: string) {
  const { streamOverview } = await import('@infalign/services');
  const { services, logger, credentials } = await servicesOptions(servicesFile);
  return await streamOverview(services, logger, credentials);
}

type Status = Awaited<ReturnType<typeof streamStatus>> & { readonly processes?: ReturnType<typeof processesIn> };

function formatted({ processes, lag, deadLetters, runs }: Status): string {
  const services = processes?.map(
    ({ title, replica, address, pid, restarts, alive }) =>
      `${alive ? '✓' : '✗'} ${`${title} ${replica}`.padEnd(18)} ${address ?? 'not listening'} (process ${pid}` +
      `${restarts > 0 ? `, started anew ${restarts} times` : ''})\n`,
  );
  const waiting = lag.map(({ group, topic, records }) => `  ${group.padEnd(20)} ${records} of ${topic}\n`);
  const letters = deadLetters.map(({ topic, records }) => `  ${topic.padEnd(32)} ${records}\n`);
  const progress = runs.map(
    ({ runId, iteration, iterations, state }) =>
      `  ${runId}: ${state}${iterations > 0 ? `, ${iteration} of ${iterations} iterations` : ''}\n`,
  );
  return [
    ...(services?.length === 0 ? ['No services are up.\n'] : (services ?? [])),
    'Records that wait:\n',
    ...waiting,
    deadLetters.length === 0 ? 'No dead letters.\n' : 'Dead letters:\n',
    ...letters,
    runs.length === 0 ? 'No runs.\n' : 'Runs:\n',
    ...progress,
  ].join('');
}
