import { join } from 'node:path';
import { root } from '../../workspace/workspace.mjs';
import { pythonEnvironment } from './environment.mjs';
import { startWorker } from './worker.mjs';

const here = join(root, 'tools', 'bench', 'peers');

/** Starts a Python program of this folder in a peer's environment. */
export function startPython(environment, program, threads) {
  return startWorker(environment, pythonEnvironment(environment), [join(here, program)], {
    // Before any library is loaded: some read it only then.
    OMP_NUM_THREADS: String(threads),
    HF_HUB_OFFLINE: '1',
    TOKENIZERS_PARALLELISM: 'false',
    // Says that it found no GPU.
    TORCH_CPP_LOG_LEVEL: 'FATAL',
  });
}

/**
 * Starts PyTorch.
 *
 * @param {number} threads that it computes with
 * @returns the worker, and the versions of what it runs
 */
export async function startPyTorch(threads) {
  const worker = startPython('pytorch', 'worker.py', threads);
  return { worker, versions: await worker.call('start', { threads }) };
}
