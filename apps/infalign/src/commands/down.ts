import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '@infalign/checkpoint';
import { Command } from 'commander';
import { signalProcess, startedServices, startedServicesFile } from '../service-processes.js';
import { defaultServicesFolder } from '../services-options.js';
import { writeStandardOutput } from '../standard-output.js';

/** Services that have not ended by then, and their supervisor, are killed: what they had under way is done again later. */
const patienceMs = 60_000;

/** `infalign down`: ends what `infalign up` has started. */
export function downCommand(): Command {
  return new Command('down')
    .summary('end the services of this machine')
    .description(
      `Ends what infalign up has started: each service finishes what is under way first; the development broker, if one
was started, ends last. Records and checkpoints stay, and infalign up goes on with them.`,
    )
    .option('--folder <folder>', 'as given to infalign up', defaultServicesFolder)
    .addHelpText('after', '\nExample:\n  infalign down')
    .action(async (options: { folder: string }) => {
      const folder = resolve(options.folder);
      const started = startedServices(folder);
      if (!started) {
        await writeStandardOutput(`${folder}: no services are up.\n`);
        return;
      }
      const { supervisor, processes } = started;
      for (const each of isAlive(supervisor) ? [supervisor] : processes.filter(isAlive)) {
        signalProcess(folder, each, 'SIGTERM');
      }
      const all = [supervisor, ...processes];
      const end = performance.now() + patienceMs;
      while (all.some(isAlive) && performance.now() < end) await sleep(100);
      for (const each of all.filter(isAlive)) signalProcess(folder, each, 'SIGKILL');
      if (started.brokerFolder !== undefined) {
        const { stopCluster } = await import('../../../../tools/kafka/index.mjs');
        await stopCluster(started.brokerFolder);
      }
      rmSync(startedServicesFile(folder), { force: true });
      await writeStandardOutput('The services have ended.\n');
    });
}
