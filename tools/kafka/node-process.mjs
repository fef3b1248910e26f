import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { java } from './jars.mjs';

const pollMilliseconds = 25;
const stopMilliseconds = 20_000;
const withoutQuorumMilliseconds = 1000;

/** What a node's start ends with if another process took one of its ports. */
export class PortTakenError extends Error {}

/**
 * The process of one node. Its folder holds `server.properties`, `broker.log`, and `pid` while it runs.
 *
 * @param {object} node
 * @param {number} node.id
 * @param {string} node.folder
 * @param {string[]} node.javaOptions all that comes before the main class
 * @param {number} node.timeoutSeconds
 */
export function nodeProcess({ id, folder, javaOptions, timeoutSeconds }) {
  mkdirSync(folder, { recursive: true });
  const logFile = join(folder, 'broker.log');
  const pidFile = join(folder, 'pid');
  const properties = join(folder, 'server.properties');
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let running;
  let ended = Promise.resolve();
  let logStart = 0;

  const launch = () => {
    const log = openSync(logFile, 'a');
    logStart = statSync(logFile).size;
    const child = spawn(java, [...javaOptions, 'kafka.Kafka', properties], {
      // In a session of its own: an interrupt from the keyboard reaches its owner, who stops it.
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.unref();
    running = child;
    ended = new Promise((resolve) => {
      const end = () => {
        if (running === child) {
          running = undefined;
          rmSync(pidFile, { force: true });
        }
        resolve();
      };
      child.once('exit', end);
      child.once('error', end);
    });
    if (child.pid !== undefined) writeFileSync(pidFile, String(child.pid));
  };

  const ready = async () => {
    for (const deadline = Date.now() + timeoutSeconds * 1000; ;) {
      const log = readFileSync(logFile).subarray(logStart).toString();
      if (log.includes('Kafka Server started')) return;
      if (running === undefined) {
        if (log.includes('Address already in use')) throw new PortTakenError(`a port of Kafka's node ${id} is taken`);
        throw new Error(`Kafka's node ${id} ended while it started. The end of ${logFile}:\n${lastLines(log)}`);
      }
      if (Date.now() > deadline) {
        throw new Error(
          `Kafka's node ${id} was not ready within ${timeoutSeconds} s. The end of ${logFile}:\n${lastLines(log)}`,
        );
      }
      await sleep(pollMilliseconds);
    }
  };

  const signal = async (name) => {
    running?.kill(name);
    await ended;
  };

  return {
    id,
    logFile,
    get pid() {
      return running?.pid;
    },
    launch,
    ready,
    async start() {
      if (running !== undefined) return;
      launch();
      await ready();
    },
    kill: () => signal('SIGKILL'),
    async stop() {
      if (running?.pid !== undefined) await stopProcesses([running.pid]);
      await ended;
    },
    pause: () => void running?.kill('SIGSTOP'),
    resume: () => void running?.kill('SIGCONT'),
  };
}

function lastLines(text) {
  return text.trimEnd().split('\n').slice(-20).join('\n');
}

/**
 * The process that a node's folder tells of, if it runs.
 *
 * @param {string} folder
 * @returns {number | undefined} its id
 */
export function recordedPid(folder) {
  const pidFile = join(folder, 'pid');
  if (!existsSync(pidFile)) return undefined;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  // The number may have become another process's meanwhile.
  return commandLine(pid).includes(join(folder, 'server.properties')) ? pid : undefined;
}

function commandLine(pid) {
  try {
    return execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return '';
  }
}

/**
 * Ends the processes of one cluster's nodes, cleanly if they do so in time.
 *
 * @param {number[]} pids
 */
export async function stopProcesses(pids) {
  // A paused process ends only when it goes on.
  for (const name of ['SIGCONT', 'SIGTERM']) for (const pid of pids) send(pid, name);
  let deadline = Date.now() + stopMilliseconds;
  let quorum = true;
  for (let running = pids; running.length > 0; running = running.filter((pid) => send(pid, 0))) {
    // The last controllers wait for a quorum that does not come; their brokers have closed their data before.
    if (quorum && running.length < pids.length / 2) {
      quorum = false;
      deadline = Math.min(deadline, Date.now() + withoutQuorumMilliseconds);
    }
    if (Date.now() > deadline) for (const pid of running) send(pid, 'SIGKILL');
    await sleep(pollMilliseconds);
  }
}

/** @returns {boolean} whether the process is there */
function send(pid, signal) {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
