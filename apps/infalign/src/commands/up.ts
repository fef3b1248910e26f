import { spawn, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '@infalign/checkpoint';
import { InputError } from '@infalign/core';
import { Command, Option } from 'commander';
import { serviceTitles, startedServices, startedServicesFile, type ServiceTitle } from '../service-processes.js';
import { defaultServicesFolder, servicesFileName } from '../services-options.js';
import { writeStandardOutput } from '../standard-output.js';
import { superviseCommandName } from './supervise.js';

interface UpOptions {
  folder: string;
  brokers?: string;
  config?: string;
  partitions: string;
  replicas: Record<ServiceTitle, number>;
  json?: boolean;
}

/**
 * The port of the first service; the others have those after it. It is below the ports that operating systems give to
 * outgoing connections (Linux: from 32768), any of which may be taken while a service starts or is started anew.
 */
const firstPort = 25_051;

/** How long services may take until all of them listen. */
const patienceMs = 120_000;

/** `infalign up`: the five services as processes of this machine. */
export function upCommand(): Command {
  return new Command('up')
    .summary('start the five services on this machine')
    .description(
      `Starts policy-sampler, reward-scorer, calibrator, ppo-learner and evaluator, each in a process of its own, over Kafka,
and returns when they can be called. What ends is started anew. Without --brokers or --config, a development broker is
started too: one Kafka node on this machine (needs Java 17 and, the first time, Maven).`,
    )
    .option(
      '--folder <folder>',
      'where the services file, logs, checkpoints and the broker are kept',
      defaultServicesFolder,
    )
    .option('--brokers <list>', 'Kafka brokers, host:port, separated by commas')
    .option('--config <file>', 'a services file of your own, as docs/services.md describes it; it names the brokers')
    .option('--partitions <number>', 'partitions of the topics, where they are made', '6')
    .addOption(
      new Option('--replicas <list>', 'processes of a service, such as policy-sampler=2,reward-scorer=2')
        .argParser(parseReplicas)
        .default(parseReplicas(''), 'one of each'),
    )
    .option('--json', 'write what was started as one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  infalign up
  infalign up --replicas policy-sampler=2,reward-scorer=2
  infalign up --brokers kafka-1:9092,kafka-2:9092
  infalign run experiments/quickstart.yaml --on services
  infalign down`,
    )
    .action(up);
}

function parseReplicas(text: string): Record<ServiceTitle, number> {
  const counts = Object.fromEntries(serviceTitles.map((title) => [title, 1])) as Record<ServiceTitle, number>;
  for (const part of text.split(',').filter((each) => each !== '')) {
    const [title = '', count = ''] = part.split('=');
    if (!(title in counts) || !/^\d{1,2}$/.test(count)) {
      throw new InputError(
        `--replicas: "${part}" must be SERVICE=NUMBER, SERVICE one of ${serviceTitles.join(', ')}, NUMBER 0 to 99`,
      );
    }
    counts[title as ServiceTitle] = Number(count);
  }
  return counts;
}

async function up(options: UpOptions): Promise<void> {
  const folder = resolve(options.folder);
  const running = startedServices(folder);
  if (running && isAlive(running.supervisor)) {
    throw new InputError(`${folder}: its services are up already. See infalign status, or infalign down first.`);
  }
  if (options.brokers !== undefined && options.config !== undefined) {
    throw new InputError('--brokers contradicts --config, which names the brokers: give one of the two');
  }
  if (!/^[1-9]\d{0,3}$/.test(options.partitions))
    throw new InputError('--partitions must be a whole number of at least 1');
  const { formatServices, loadServices } = await import('@infalign/run-config');
  const own = options.config === undefined ? undefined : await loadServices(options.config);
  mkdirSync(folder, { recursive: true });
  rmSync(startedServicesFile(folder), { force: true });
  const file = join(folder, servicesFileName);
  let brokerFolder: string | undefined;
  if (own) {
    // Elsewhere, relative paths would lead to other places: they are absolute in what is written.
    if (resolve(options.config!) !== file) {
      writeFileSync(file, `# Written by infalign up, from ${resolve(options.config!)}\n${formatServices(own)}`);
    }
  } else {
    let brokers = options.brokers?.split(',');
    if (!brokers) {
      brokerFolder = join(folder, 'kafka');
      brokers = await startBroker(brokerFolder);
    }
    writeServicesFile(file, folder, brokers, options.partitions, await portsToListenOn());
    await loadServices(file);
  }
  const log = openSync(join(folder, 'supervisor.log'), 'a');
  const supervisor = spawn(
    process.execPath,
    [
      process.argv[1]!,
      superviseCommandName,
      '--folder',
      folder,
      '--replicas',
      JSON.stringify(options.replicas),
      ...(brokerFolder === undefined ? [] : ['--broker', brokerFolder]),
    ],
    { detached: true, stdio: ['ignore', log, log] },
  );
  supervisor.unref();
  const wanted = Object.values(options.replicas).reduce((sum, count) => sum + count, 0);
  const started = await untilListening(folder, supervisor, wanted);
  await writeStandardOutput(
    options.json === true
      ? `${JSON.stringify({ services: file, ...started })}\n`
      : `${started.processes
          .map(({ title, replica, address, pid }) => `${title} ${replica}: ${address} (process ${pid})\n`)
          .join('')}The services are up. Their settings: ${file}\n`,
  );
}

async function startBroker(folder: string): Promise<string[]> {
  const { kafkaAvailable, startCluster } = await import('../../../../tools/kafka/index.mjs');
  const availability = kafkaAvailable();
  if (!availability.ok) {
    throw new InputError(
      `no development broker can be started: ${availability.missing.join(' ')} Or name brokers of your own with --brokers.`,
    );
  }
  process.stderr.write('starting a development broker …\n');
  const cluster = await startCluster({ folder, nodes: 1, detached: true });
  return [...cluster.brokers.plaintext];
}

/** A port for each service: the usual ones, or the next that are free. */
async function portsToListenOn(): Promise<Record<string, number>> {
  const ports: Record<string, number> = {};
  let port = firstPort;
  for (const title of serviceTitles) {
    while (!(await isFree(port))) port++;
    ports[title.replace('-', '_')] = port++;
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function writeServicesFile(
  file: string,
  folder: string,
  brokers: readonly string[],
  partitions: string,
  ports: Readonly<Record<string, number>>,
): void {
  writeFileSync(
    file,
    `# Written by infalign up. Every setting, with its default: docs/services.md
stream:
  brokers: ${JSON.stringify(brokers)}
  partitions: ${partitions}
store: ${JSON.stringify(join(folder, 'checkpoints'))}
services:
${Object.entries(ports)
  .map(([name, port]) => `  ${name}: { port: ${port} }\n`)
  .join('')}`,
  );
}

async function untilListening(folder: string, supervisor: ChildProcess, wanted: number) {
  for (const end = performance.now() + patienceMs; performance.now() < end; await sleep(100)) {
    const started = startedServices(folder);
    const listening = started?.processes.filter(({ address }) => address !== undefined).length ?? 0;
    if (started && listening === wanted) return started;
    const failing = started?.processes.find(({ restarts }) => restarts >= 3);
    if (failing) {
      supervisor.kill('SIGTERM');
      const log = join(folder, `${failing.title}-${failing.replica}.log`);
      const lastWords = readFileSync(log, 'utf8').trim().split('\n').at(-1)!;
      throw new InputError(`${failing.title} ends again and again: ${lastWords} (its log: ${log})`);
    }
    if (supervisor.exitCode !== null || supervisor.signalCode !== null) {
      throw new InputError(`the services could not be started: see ${join(folder, 'supervisor.log')}`);
    }
  }
  throw new InputError(
    `the services are not up after ${patienceMs / 1000} s: see the logs in ${folder}, then infalign down`,
  );
}
