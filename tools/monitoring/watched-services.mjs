import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { provisionGoProgram } from '../go/provision-go-program.mjs';
import { freePorts } from '../kafka/ports.mjs';
import { startPrometheus } from '../prometheus/start-prometheus.mjs';
import { serviceNames, startFiveServices, startService } from '../services/five-services.mjs';
import { root, step } from '../workspace/workspace.mjs';

/**
 * The five services over a real broker, a Prometheus server that scrapes them and has the rules of all alerts, and a folder in
 * which the commands of runbooks are run as they stand there.
 *
 * @typedef {object} WatchedServices
 * @property {import('../services/five-services.mjs').FiveServices} five
 * @property {import('../prometheus/start-prometheus.mjs').Prometheus} prometheus
 * @property {string} folder where commands are run; `runs/services` is that of the services
 * @property {(name: string) => import('../services/five-services.mjs').ServiceProcess} process the one of a service that is
 *   to run, the first if there are several
 * @property {(process: import('../services/five-services.mjs').ServiceProcess) => void} dismiss a process is not to run any more
 * @property {(command: string) => Promise<import('../services/five-services.mjs').ServiceProcess>} start a service, by its
 *   command; it is to run from now on
 * @property {(command: string) => Promise<{ status: number, output: string }>} run a command that ends
 * @property {() => Promise<void>} stop
 */

/**
 * Starts them.
 *
 * @param {{ partitions: number, timeScale: number }} options `timeScale`: of the alerts' times
 * @returns {Promise<WatchedServices>}
 */
export async function startWatchedServices({ partitions, timeScale }) {
  const { alertRules, formatAlertRules } = await import('@infalign/monitoring');
  const grpcurl = provisionGoProgram('grpcurl');
  provisionGoProgram('prometheus');
  const ports = await freePorts(2 * serviceNames.length);
  // The same after each start, as where services have addresses of their own.
  const services = Object.fromEntries(
    serviceNames.map((name, index) => [
      name.replace('-', '_'),
      { port: ports[2 * index], metrics_port: ports[2 * index + 1] },
    ]),
  );
  const settings = { services, telemetry: { prometheus: {} }, drain_seconds: 5 };
  const five = await startFiveServices({ partitions, settings });
  const folder = mkdtempSync(join(tmpdir(), 'infalign-watched-'));
  const prometheusFolder = join(folder, 'prometheus');
  const programs = join(folder, 'bin');
  for (const each of [prometheusFolder, programs, join(folder, 'runs')]) mkdirSync(each);
  symlinkSync(dirname(five.configFile), join(folder, 'runs', 'services'));
  symlinkSync(grpcurl, join(programs, 'grpcurl'));
  const rules = join(folder, 'rules.yaml');
  writeFileSync(rules, formatAlertRules(alertRules(timeScale)));
  const processes = Object.values(five.services);
  const started = [];
  let prometheus;
  const stop = async () => {
    await prometheus?.stop();
    await Promise.all(started.map((each) => each.stop()));
    await five.stop();
    five.remove();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    prometheus = await step('starting Prometheus', () =>
      startPrometheus({ folder: prometheusFolder, rules, intervalSeconds: 2 }),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  const watch = () =>
    prometheus.setTargets(
      processes.map(({ name, metricsUrl }) => ({ service: name, address: new URL(metricsUrl).host })),
    );
  watch();
  return {
    five,
    prometheus,
    folder,
    process: (name) => processes.find((each) => each.name === name),
    dismiss(process) {
      processes.splice(processes.indexOf(process), 1);
      watch();
    },
    async start(command) {
      const [name, configOption, config, ...further] = command.split(' ');
      if (!serviceNames.includes(name) || configOption !== '--config') {
        throw new Error(`${command}: does not start a service`);
      }
      const log = join(dirname(five.configFile), `${name}-${started.length + 2}.log`);
      const process = await startService(name, resolve(folder, config), log, further);
      started.push(process);
      processes.push(process);
      watch();
      return process;
    },
    run: (command) => runCommand(command, folder, programs),
    stop,
  };
}

/** Runs a command of the shell; `npx infalign` is the one of this repository. */
function runCommand(command, folder, programs) {
  const infalign = `${JSON.stringify(process.execPath)} ${JSON.stringify(join(root, 'apps/infalign/bin/infalign.js'))}`;
  const child = spawn('sh', ['-c', command.replace(/^npx infalign\b/, infalign)], {
    cwd: folder,
    env: { ...process.env, PATH: `${programs}:${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  return new Promise((settle) => {
    child.once('close', (status) => settle({ status, output }));
  });
}
