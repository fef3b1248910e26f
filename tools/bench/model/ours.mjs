import { ourProcess } from '../our-process.mjs';
import { startWorker } from '../peers/worker.mjs';

/**
 * Starts our side of a benchmark.
 *
 * @param {string} program from the repository's top folder
 * @param {number} threads that it computes with
 * @returns the worker, and the versions of what it runs
 */
export async function startOurs(program, threads) {
  const { command, arguments: parameters, environment } = ourProcess(program, threads);
  const worker = startWorker('infalign', command, parameters, environment);
  return { worker, versions: await worker.call('start') };
}
