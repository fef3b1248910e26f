import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { processIdentity } from '@infalign/checkpoint';
import { Command } from 'commander';
import {
  installation,
  keepStartedServices,
  serviceNodeOptions,
  serviceProgram,
  serviceTitles,
  type ServiceProcess,
  type ServiceTitle,
} from '../service-processes.js';
import { servicesFileName } from '../services-options.js';

/** The command that keeps services running; `infalign up` starts it. */
export const superviseCommandName = 'supervise';

/** A service that ends is started anew after so long; longer, up to the most, while it ends again and again. */
const firstDelayMs = 200;
const longestDelayMs = 10_000;
/** One that has run for so long is sound. */
const soundMs = 30_000;

interface SuperviseOptions {
  readonly folder: string;
  readonly replicas: string;
  readonly broker?: string;
}

/** `infalign supervise`: starts services, and starts anew those that end, until it is told to end. */
export function superviseCommand(): Command {
  return new Command(superviseCommandName)
    .description('Keeps services running; started by infalign up.')
    .requiredOption('--folder <folder>', 'folder of infalign up')
    .requiredOption('--replicas <json>', 'processes of each service')
    .option('--broker <folder>', 'folder of the development broker')
    .action(supervise);
}

async function supervise({ folder, replicas, broker }: SuperviseOptions): Promise<void> {
  const counts = JSON.parse(replicas) as Record<ServiceTitle, number>;
  const ended = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ended.abort());
  const processes = new Map<string, ServiceProcess>();
  const keep = (): void =>
    keepStartedServices(folder, {
      supervisor: processIdentity(process.pid),
      installation,
      ...(broker !== undefined && { brokerFolder: broker }),
      processes: [...processes.values()],
    });
  keep();
  const members = serviceTitles.flatMap((title) =>
    Array.from({ length: counts[title] }, (_, index) => ({ title, replica: index + 1 })),
  );
  await Promise.all(
    members.map(({ title, replica }) =>
      keepRunning(title, replica, folder, ended.signal, (started) => {
        processes.set(`${title}-${replica}`, started);
        keep();
      }),
    ),
  );
}

async function keepRunning(
  title: ServiceTitle,
  replica: number,
  folder: string,
  signal: AbortSignal,
  onChange: (process: ServiceProcess) => void,
): Promise<void> {
  let delay = firstDelayMs;
  for (let restarts = 0; !signal.aborted; restarts++) {
    const startedAt = performance.now();
    const child = startService(title, replica, folder);
    const known = { title, replica, ...processIdentity(child.pid!), restarts };
    onChange(known);
    createInterface(child.stdout!).on('line', (line) => {
      const address = /listening on (\S+)$/.exec(line)?.[1];
      if (address !== undefined) onChange({ ...known, address });
    });
    const end = (): void => void child.kill('SIGTERM');
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    await new Promise((resolve) => child.once('exit', resolve));
    signal.removeEventListener('abort', end);
    delay = performance.now() - startedAt > soundMs ? firstDelayMs : Math.min(2 * delay, longestDelayMs);
    await sleep(delay, undefined, { signal }).catch(() => undefined);
  }
}

/** Its ports are those in the settings for the first of a service, and free ones for the others. */
function startService(title: ServiceTitle, replica: number, folder: string): ChildProcess {
  const log = openSync(join(folder, `${title}-${replica}.log`), 'a');
  const ports = replica === 1 ? [] : ['--port', '0', '--metrics-port', '0'];
  const child = spawn(
    process.execPath,
    [...serviceNodeOptions, serviceProgram(title), '--config', join(folder, servicesFileName), ...ports],
    // Its log outlives this process; its standard output tells where it listens.
    { stdio: ['ignore', 'pipe', log] },
  );
  closeSync(log);
  return child;
}
