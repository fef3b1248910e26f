/* global URLSearchParams */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { provisionGoProgram } from '../go/provision-go-program.mjs';
import { freePorts } from '../kafka/ports.mjs';

const startMs = 60_000;

/**
 * @typedef {object} Target what is scraped
 * @property {string} service the name of its job
 * @property {string} address `host:port`
 */

/**
 * @typedef {object} ActiveAlert
 * @property {string} name
 * @property {'pending' | 'firing'} state
 * @property {Record<string, string>} labels
 * @property {Record<string, string>} annotations
 * @property {string} value
 */

/**
 * @typedef {object} Prometheus
 * @property {string} url
 * @property {(targets: readonly Target[]) => void} setTargets what is scraped from now on
 * @property {(expression: string) => Promise<{ metric: Record<string, string>, value: number }[]>} query instant values
 * @property {() => Promise<ActiveAlert[]>} alerts
 * @property {() => Promise<{ service: string, health: string, lastError: string }[]>} targets
 * @property {() => Promise<void>} stop
 */

/**
 * Starts a Prometheus server on this machine. Targets are found through a file, as they come and go: one that is taken out of
 * it is a process that is not to run, one that stays in it and does not answer is down.
 *
 * @param {object} options
 * @param {string} options.folder empty; for its settings, data and log
 * @param {string} options.rules a file of alert rules, or its name with `*`
 * @param {number} options.intervalSeconds between scrapes, and between evaluations of rules
 * @returns {Promise<Prometheus>}
 */
export async function startPrometheus({ folder, rules, intervalSeconds }) {
  const program = provisionGoProgram('prometheus');
  const [port] = await freePorts(1);
  const targetsFile = join(folder, 'targets.json');
  const setTargets = (targets) => {
    const groups = targets.map(({ service, address }) => ({ targets: [address], labels: { job: service } }));
    writeFileSync(`${targetsFile}.new`, JSON.stringify(groups));
    renameSync(`${targetsFile}.new`, targetsFile);
  };
  setTargets([]);
  const settings = {
    global: {
      scrape_interval: `${intervalSeconds}s`,
      scrape_timeout: `${intervalSeconds}s`,
      evaluation_interval: `${intervalSeconds}s`,
    },
    rule_files: [rules],
    scrape_configs: [
      { job_name: 'infalign', file_sd_configs: [{ files: [targetsFile], refresh_interval: `${intervalSeconds}s` }] },
    ],
  };
  const settingsFile = join(folder, 'prometheus.yml');
  writeFileSync(settingsFile, JSON.stringify(settings));
  const logFile = join(folder, 'prometheus.log');
  const log = openSync(logFile, 'a');
  const child = spawn(
    program,
    [
      `--config.file=${settingsFile}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', log, log] },
  );
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(child, 'exit').finally(() => process.off('exit', kill));
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  for (const late = Date.now() + startMs; ; await sleep(50)) {
    if (await answers(`${url}/-/ready`)) break;
    if (child.exitCode !== null || Date.now() > late) {
      await stop();
      throw new Error(`Prometheus does not start:\n${readFileSync(logFile, 'utf8').trimEnd()}`);
    }
  }
  const ask = async (path, parameters = {}) => {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const { status, error, data } = await response.json();
    if (status !== 'success') throw new Error(`Prometheus: ${error}`);
    return data;
  };
  return {
    url,
    setTargets,
    async query(expression) {
      const { result } = await ask('query', { query: expression });
      return result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }));
    },
    async alerts() {
      const { alerts } = await ask('alerts');
      return alerts.map(({ labels: { alertname: name, ...labels }, annotations, state, value }) => ({
        name,
        state,
        labels,
        annotations,
        value,
      }));
    },
    async targets() {
      const { activeTargets } = await ask('targets', { state: 'active' });
      return activeTargets.map(({ labels: { job }, health, lastError }) => ({ service: job, health, lastError }));
    },
    stop,
  };
}

async function answers(url) {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}
