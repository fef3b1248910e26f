import { join } from 'node:path';
import { root } from '../../workspace/workspace.mjs';
import { deviceEnvironment } from '../device.mjs';
import { peerEnvironment } from './environment.mjs';
import { startWorker } from './worker.mjs';

const here = join(root, 'tools', 'bench', 'peers');

/**
 * Starts PyTorch, and transformers.
 *
 * @param {number} threads that it computes with
 * @param {string} [device] that it computes on
 * @returns the worker, and the versions of what it runs
 */
export function startPyTorch(threads, device = 'cpu') {
  return startPython('pytorch', 'worker.py', { threads, device });
}

/**
 * Starts TRL.
 *
 * @param {number} threads that it computes with
 * @returns the worker, and the versions of what it runs
 */
export function startTrl(threads) {
  return startPython('trl', 'trl_worker.py', { threads, device: 'cpu' });
}

async function startPython(environment, program, { threads, device }) {
  const worker = startWorker(environment, peerEnvironment(environment), [join(here, program)], {
    ...deviceEnvironment(device),
    // Before any library is loaded: some read it only then.
    OMP_NUM_THREADS: String(threads),
    HF_HUB_OFFLINE: '1',
    TOKENIZERS_PARALLELISM: 'false',
    // Torch says that it found no GPU, TRL that its PPO may move.
    TORCH_CPP_LOG_LEVEL: 'FATAL',
    TRL_EXPERIMENTAL_SILENCE: '1',
  });
  return { worker, versions: await worker.call('start', { threads }) };
}
