import { join } from 'node:path';
import { root } from '../../workspace/workspace.mjs';
import { startWorker } from '../peers/worker.mjs';

/**
 * Starts our side of a benchmark in a process of its own: TensorFlow reads its number of threads once.
 *
 * @param {string} program from the repository's top folder
 * @param {number} threads that it computes with
 * @returns the worker, and the versions of what it runs
 */
export async function startOurs(program, threads) {
  const loader = ['--conditions=@infalign/source', '--import', 'tsx'];
  const worker = startWorker('infalign', process.execPath, [...loader, join(root, program)], {
    TF_NUM_INTRAOP_THREADS: '1',
    TF_NUM_INTEROP_THREADS: String(threads),
    TF_CPP_MIN_LOG_LEVEL: '2',
  });
  return { worker, versions: await worker.call('start') };
}
