import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '@infalign/checkpoint';
import { InputError } from '@infalign/core';
import { Command } from 'commander';
import {
  installation,
  serviceTitles,
  signalProcess,
  startedServices,
  type ServiceProcess,
  type ServiceTitle,
} from '../service-processes.js';
import { defaultServicesFolder } from '../services-options.js';
import { writeStandardOutput } from '../standard-output.js';

/** The learner is first: what it announces, the services of before have to read. Then against the way of the rollouts. */
const order: readonly ServiceTitle[] = [
  'ppo-learner',
  ...serviceTitles.filter((each) => each !== 'ppo-learner').reverse(),
];

/** How long a process may take to end and to be there again. */
const patienceMs = 180_000;

/** `infalign upgrade`: a rolling upgrade of the services of this machine. */
export function upgradeCommand(): Command {
  return new Command('upgrade')
    .summary('replace the services of this machine, one process after another')
    .description(
      `Ends the processes that infalign up has started one after another, each gracefully, and goes on when it has been started
anew, with the code and the settings that are there now, and can be called. Runs go on meanwhile, and lose nothing.`,
    )
    .option('--folder <folder>', 'as given to infalign up', defaultServicesFolder)
    .addHelpText('after', '\nExample:\n  infalign upgrade --folder runs/services')
    .action(upgrade);
}

async function upgrade(options: { folder: string }): Promise<void> {
  const folder = resolve(options.folder);
  const started = startedServices(folder);
  if (!started || !isAlive(started.supervisor)) {
    throw new InputError(`${folder}: no services are up. infalign up starts them.`);
  }
  if (started.installation !== installation) {
    throw new InputError(
      `${folder}: its services are started from ${started.installation ?? 'an earlier version'}, and this is ${installation}. ` +
        'Upgrade them there; or infalign down, and infalign up from here.',
    );
  }
  const processes = [...started.processes].sort((a, b) => order.indexOf(a.title) - order.indexOf(b.title));
  for (const before of processes) {
    if (isAlive(before)) signalProcess(folder, before, 'SIGTERM');
    const { title, replica, address, pid } = await successor(folder, before);
    await writeStandardOutput(`${title} ${replica}: ${address} (process ${pid})\n`);
  }
  await writeStandardOutput('The services are upgraded.\n');
}

/** Waits for the process that is started in place of another one. */
async function successor(folder: string, { title, replica, pid }: ServiceProcess): Promise<ServiceProcess> {
  for (const end = performance.now() + patienceMs; performance.now() < end; await sleep(100)) {
    const now = startedServices(folder)?.processes.find((each) => each.title === title && each.replica === replica);
    if (now && now.pid !== pid && now.address !== undefined) return now;
  }
  throw new InputError(
    `${title} ${replica} is not there again after ${patienceMs / 1000} s: see its log in ${folder}. Those after it have not been ` +
      'replaced; infalign upgrade begins anew.',
  );
}
