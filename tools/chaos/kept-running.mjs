/* global AbortController, clearTimeout */
import { spawn } from 'node:child_process';
import { fstatSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../workspace/workspace.mjs';
import { replicas, serviceTitles } from './settings.mjs';

/** A process that ended by itself is started anew after so long. */
const restartMilliseconds = 1000;
/** How long a service may take to end when it is told to. */
const drainMilliseconds = 40_000;

/**
 * @param {string} title
 * @param {string} [checkout] of the repository
 * @returns {string} the program of a service, or of the command line
 */
export function program(title, checkout = root) {
  return join(checkout, 'apps', title, 'bin', `${title}.js`);
}

/**
 * Starts the processes of all services, and starts anew those that end, until they are stopped.
 *
 * @param {object} options
 * @param {string} options.folder for logs
 * @param {string} options.servicesFile
 * @param {string} [options.checkout] the one whose programs are started
 * @param {(text: string) => void} options.tell told what nobody has asked for
 */
export function keepServicesRunning({ folder, servicesFile, checkout = root, tell }) {
  const stopping = new AbortController();
  const watchdog = startWatchdog(folder);
  const processes = serviceTitles.flatMap((title) =>
    Array.from({ length: replicas[title] }, (_, index) => ({
      title,
      name: `${title}-${index + 1}`,
      // Only one of them can have the port of the services file.
      port: index === 0 ? [] : ['--port', '0'],
      /** @type {import('node:child_process').ChildProcess | undefined} */
      child: undefined,
      checkout,
      /** How long it stays away after its next end. */
      away: restartMilliseconds,
      wasKilled: false,
    })),
  );
  let endedByThemselves = 0;
  let notEnded = 0;

  async function keepRunning(process_) {
    while (!stopping.signal.aborted) {
      const logFile = join(folder, `${process_.name}.log`);
      const log = openSync(logFile, 'a');
      process_.logStart = fstatSync(log).size;
      const child = spawn(program(process_.title, process_.checkout), ['--config', servicesFile, ...process_.port], {
        stdio: ['ignore', log, log],
      });
      const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`)));
      process_.child = child;
      process_.wasKilled = false;
      const pidFile = join(folder, `${process_.name}.pid`);
      writeFileSync(pidFile, String(child.pid));
      const how = await ended;
      rmSync(pidFile);
      process_.child = undefined;
      if (stopping.signal.aborted) return;
      if (!process_.wasKilled) {
        endedByThemselves++;
        tell(`${process_.name} has ended by itself (${how}); see ${process_.name}.log`);
      }
      await sleep(process_.away, undefined, { signal: stopping.signal }).catch(() => undefined);
      process_.away = restartMilliseconds;
    }
  }
  const running = Promise.all(processes.map(keepRunning));

  return {
    /** How many have ended that nobody has killed. */
    get endedByThemselves() {
      return endedByThemselves;
    },

    /** How many have not ended when they were told to. */
    get notEnded() {
      return notEnded;
    },

    /**
     * Kills a process of a service, by SIGKILL; waits for it to be there.
     *
     * @param {string} title of the service
     * @param {number} choice which of its processes, counted from 0, modulo their number
     * @param {number} awayMilliseconds how long it stays away
     * @param {AbortSignal} signal ends the wait
     * @returns {Promise<string | undefined>} the process's name; nothing if none was killed
     */
    async kill(title, choice, awayMilliseconds, signal) {
      const ofTitle = processes.filter((process_) => process_.title === title);
      const victim = ofTitle[choice % ofTitle.length];
      while (victim.child === undefined || victim.wasKilled) {
        if (signal.aborted) return undefined;
        await sleep(50);
      }
      if (signal.aborted) return undefined;
      victim.wasKilled = true;
      victim.away = awayMilliseconds;
      victim.child.kill('SIGKILL');
      return victim.name;
    },

    /** The names of all processes. */
    names: processes.map(({ name }) => name),

    /**
     * Ends a process gracefully, and starts in its place the program of another checkout.
     *
     * @param {string} name
     * @param {string} from the checkout
     * @returns {Promise<void>} when the new one listens
     */
    async replace(name, from) {
      const process_ = processes.find((each) => each.name === name);
      const { child } = process_;
      process_.wasKilled = true;
      process_.away = 0;
      process_.checkout = from;
      child.kill('SIGTERM');
      const late = setTimeout(() => {
        notEnded++;
        tell(`${name} does not end when it is told to; see ${name}.log`);
        child.kill('SIGKILL');
      }, drainMilliseconds);
      const log = join(folder, `${name}.log`);
      const isReplaced = () =>
        process_.child !== undefined &&
        process_.child !== child &&
        readFileSync(log).subarray(process_.logStart).toString().includes('listening on ');
      for (const deadline = performance.now() + 3 * drainMilliseconds; !isReplaced();) {
        if (performance.now() > deadline) throw new Error(`${name} does not listen; see ${name}.log`);
        await sleep(50);
        if (process_.child !== child) clearTimeout(late);
      }
    },

    /** Kills all of them at once, by SIGKILL; none is started anew. */
    async killAll() {
      stopping.abort();
      for (const { child } of processes) child?.kill('SIGKILL');
      await running;
      watchdog.kill();
    },

    /** Ends all of them: gracefully, and those that do not end in time by force. */
    async stop() {
      stopping.abort();
      for (const { child } of processes) child?.kill('SIGTERM');
      const patience = new AbortController();
      await Promise.race([running, sleep(drainMilliseconds, undefined, { signal: patience.signal }).catch(() => {})]);
      patience.abort();
      for (const { name, child } of processes) {
        if (child === undefined) continue;
        notEnded++;
        tell(`${name} does not end when it is told to; see ${name}.log`);
        child.kill('SIGKILL');
      }
      await running;
      watchdog.kill();
    },
  };
}

/** Kills the services when this process ends, however it ends: its end of the pipe closes even with SIGKILL. */
function startWatchdog(folder) {
  const script = 'cat > /dev/null; for file in "$0"/*.pid; do kill -9 "$(cat "$file")"; done 2> /dev/null';
  const watchdog = spawn('sh', ['-c', script, folder], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  watchdog.unref();
  watchdog.stdin.unref();
  return watchdog;
}
