// A broker, a checkpoint store and the five services, as processes of this machine.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { kafkaAvailable, startCluster } from '../kafka/index.mjs';
import { root, step } from '../workspace/workspace.mjs';

/** The services, by the names of their programs. */
export const serviceNames = /** @type {const} */ ([
  'policy-sampler',
  'reward-scorer',
  'calibrator',
  'ppo-learner',
  'evaluator',
]);

/** How long a service may take until it listens. */
const startMs = 120_000;

/**
 * @typedef {object} ServiceProcess
 * @property {string} name
 * @property {string} address `host:port`
 * @property {string} logFile
 * @property {string | undefined} metricsUrl where Prometheus is answered, if it is
 * @property {() => number} residentBytes
 * @property {() => number} processorSeconds used so far; 0 where the system does not tell
 * @property {() => string | undefined} ended how it has ended, if it has
 * @property {() => Promise<number | null>} stop SIGTERM; gives the exit code
 * @property {() => Promise<void>} kill SIGKILL
 */

/**
 * @typedef {object} FiveServices
 * @property {string} brokers address of the broker, not encrypted
 * @property {string} store folder of the checkpoint store
 * @property {string} configFile the services file
 * @property {Record<string, ServiceProcess>} services
 * @property {(name: string) => Promise<ServiceProcess>} startAnother starts one more process of a service
 * @property {() => Promise<void>} stop ends services and broker
 * @property {() => void} remove removes their folder
 */

/**
 * Starts them in a temporary folder.
 *
 * @param {{ partitions: number, names?: readonly string[], settings?: object, brokers?: string }} options `names`: those of the
 *   services that are started; `settings`: of the services file, beside broker and store; `brokers`: a broker that is there
 *   already, which stays
 * @returns {Promise<FiveServices>}
 */
export async function startFiveServices({ partitions, names = serviceNames, settings = {}, brokers: given }) {
  const available = kafkaAvailable();
  if (!available.ok) throw new Error(available.missing.join(' '));
  const folder = mkdtempSync(join(tmpdir(), 'infalign-services-'));
  const store = join(folder, 'checkpoints');
  mkdirSync(store);
  const cluster =
    given === undefined &&
    (await step('starting Kafka', () =>
      startCluster({ folder: join(folder, 'kafka'), heapMebibytes: 512, timeoutSeconds: 180 }),
    ));
  const services = {};
  const others = [];
  const stop = async () => {
    await Promise.all([...Object.values(services), ...others].map((service) => service.stop()));
    if (cluster) await cluster.stop();
  };
  try {
    const [brokers] = cluster ? cluster.brokers.plaintext : [given];
    const configFile = join(folder, 'services.yaml');
    const ports = Object.fromEntries(
      serviceNames.map((name) => [name.replace('-', '_'), { port: 0, metrics_port: 0 }]),
    );
    const { stream, ...others } = settings;
    const config = { stream: { brokers: [brokers], partitions, ...stream }, store, services: ports, ...others };
    writeFileSync(configFile, JSON.stringify(config));
    await step('starting the services', () =>
      Promise.all(
        names.map(async (name) => {
          services[name] = await startService(name, configFile, join(folder, `${name}.log`));
        }),
      ),
    );
    return {
      brokers,
      store,
      configFile,
      services,
      async startAnother(name) {
        const other = await startService(name, configFile, join(folder, `${name}-${others.length + 2}.log`));
        others.push(other);
        return other;
      },
      stop,
      remove: () => rmSync(folder, { recursive: true, force: true }),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Starts one process of a service.
 *
 * @param {string} name
 * @param {string} configFile
 * @param {string} logFile written on
 * @param {readonly string[]} [further] arguments
 * @returns {Promise<ServiceProcess>} when it listens
 */
export async function startService(name, configFile, logFile, further = []) {
  const child = spawn(join(root, 'apps', name, 'bin', `${name}.js`), ['--config', configFile, ...further], {
    stdio: ['ignore', 'pipe', openSync(logFile, 'a')],
  });
  // However this process ends, none is left behind.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let ended;
  const exit = once(child, 'exit').then(([code, signal]) => {
    ended = signal === null ? `exit code ${code}` : `signal ${signal}`;
    process.off('exit', kill);
    return code;
  });
  let metricsUrl;
  const listening = new Promise((resolve) => {
    createInterface(child.stdout).on('line', (line) => {
      metricsUrl ??= /serves metrics at (\S+)$/.exec(line)?.[1];
      const address = /listening on (\S+)$/.exec(line)?.[1];
      if (address !== undefined) resolve(address);
    });
  });
  const late = new Promise((resolve) => setTimeout(resolve, startMs).unref());
  const address = await Promise.race([listening, exit.then(() => undefined), late]);
  if (address === undefined) {
    child.kill('SIGKILL');
    throw new Error(`${name} does not start (${ended ?? 'too slow'}):\n${logEnd(logFile)}`);
  }
  return {
    name,
    address,
    logFile,
    metricsUrl,
    residentBytes: () => residentBytes(child.pid),
    processorSeconds: () => processorSeconds(child.pid),
    ended: () => ended,
    async stop() {
      if (ended === undefined) child.kill('SIGTERM');
      const late = new Promise((resolve) => setTimeout(resolve, 40_000, 'late').unref());
      if ((await Promise.race([exit, late])) === 'late') kill();
      return exit;
    },
    async kill() {
      kill();
      await exit;
    },
  };
}

/** The last lines of a log. */
export function logEnd(logFile, lines = 25) {
  return readFileSync(logFile, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(-lines)
    .map((line) => (line.length > 1500 ? `${line.slice(0, 1500)} …` : line))
    .join('\n');
}

/** A second has so many ticks, on Linux. */
const ticksPerSecond = 100;

/** Processor time that a process has used, user and system together; 0 where the system does not tell. */
function processorSeconds(pid) {
  try {
    // The name, in parentheses, may have spaces; the 12th and 13th field after it are the times.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return 0;
  }
}

/** Memory of a process that is in use, as the system sees it; 0 where the system does not tell. */
function residentBytes(pid) {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
