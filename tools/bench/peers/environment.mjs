import { join } from 'node:path';
import { pythonEnvironment } from '../../python/environment.mjs';
import { root } from '../../workspace/workspace.mjs';

/**
 * Makes the Python environment of a peer, unless it is there. The first time takes some minutes, and 7 GB on Linux, where
 * PyPI's torch brings the libraries of CUDA; a pip configured for an index of CPU wheels takes those.
 *
 * @param {'pytorch' | 'trl'} name of the peer
 * @returns {string} its Python
 * @throws Error if there is no Python, or a package cannot be had
 */
export function peerEnvironment(name) {
  return pythonEnvironment({
    requirements: join(root, 'tools', 'bench', 'peers', `requirements-${name}.txt`),
    folder: join(root, '.cache', 'bench-peers', name),
    what: `${name} and what it needs`,
  });
}
