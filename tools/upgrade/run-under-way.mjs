/* global AbortController */
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRun } from '../chaos/command-line.mjs';
import { runProgress } from '../chaos/run-progress.mjs';

/** A run that makes no progress for so long hangs. */
const patienceMilliseconds = 600_000;

/**
 * Has services carry out the experiment, from the first step that they have to do with.
 *
 * @param {object} options
 * @param {string} options.experiment file
 * @param {string} options.out folder of the experiment, new
 * @param {string} options.servicesFile
 * @param {Awaited<ReturnType<typeof import('../chaos/undisturbed.mjs').runUndisturbed>>} options.undisturbed
 * @param {(text: string) => void} options.tell
 */
export function runOnServices({ experiment, out, servicesFile, undisturbed, tell }) {
  mkdirSync(out, { recursive: true });
  undisturbed.leaveBeginnings(out);
  const progress = runProgress();
  const over = new AbortController();
  let iteration = 0;
  const onEvent = (event) => {
    if (!progress.onEvent(event)) return;
    if (event.phase?.startsWith('training the policy')) iteration = event.done;
    tell(progress.latest());
  };
  const run = startRun([experiment, '--out', out, '--resume', '--on', 'services', '--services', servicesFile], {
    onEvent,
  });
  const endWithThisProcess = () => run.stop();
  process.once('exit', endWithThisProcess);
  const stuck = async () => {
    while (!over.signal.aborted) {
      if (progress.idleMilliseconds() > patienceMilliseconds) {
        throw new Error(`the run makes no progress any more; the last that was heard of it: ${progress.latest()}`);
      }
      await sleep(500, undefined, { signal: over.signal }).catch(() => undefined);
    }
  };
  const finished = Promise.race([run.finished, stuck()]).finally(() => {
    over.abort();
    process.off('exit', endWithThisProcess);
  });
  // One that hangs would keep this process from its end.
  finished.catch(() => run.stop());
  return {
    /** Rejected if it fails or hangs. */
    finished,
    /** @returns {number} iterations that have been learned */
    iteration: () => iteration,
    /** Waits until so many iterations have been learned. */
    async learned(iterations) {
      while (iteration < iterations) {
        if (over.signal.aborted) {
          await finished;
          throw new Error(`the run has ended before iteration ${iterations}: it needs more of them than it has`);
        }
        await sleep(50);
      }
    },
    /** Ends it where it is. */
    async kill() {
      over.abort();
      run.kill();
      await run.finished.catch(() => undefined);
    },
  };
}
