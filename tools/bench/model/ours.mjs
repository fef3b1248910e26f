import { ourProcess } from '../our-process.mjs';
import { startWorker } from '../peers/worker.mjs';

/**
 * Starts our side of a benchmark.
 *
 * @param {string} program from the repository's top folder
 * @param {number} threads that it computes with
 * @param {string} [device] that it computes on
 * @returns the worker, and the versions of what it runs
 */
export async function startOurs(program, threads, device) {
  const { command, arguments: parameters, environment } = ourProcess(program, threads, device);
  const worker = startWorker('infalign', command, parameters, environment);
  return { worker, versions: await worker.call('start') };
}
