import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../workspace/workspace.mjs';
import { deviceEnvironment } from './device.mjs';

/**
 * How to start a program of ours from its sources, in a process of its own: TensorFlow reads its number of threads once.
 *
 * @param {string} program from the repository's top folder
 * @param {number} threads that it computes with
 * @param {string} [device] that it computes on
 */
export function ourProcess(program, threads, device = 'cpu') {
  return {
    command: process.execPath,
    arguments: ['--conditions=@infalign/source', '--import', 'tsx', join(root, program)],
    environment: {
      ...deviceEnvironment(device),
      TF_NUM_INTRAOP_THREADS: '1',
      TF_NUM_INTEROP_THREADS: String(threads),
      TF_CPP_MIN_LOG_LEVEL: '2',
      // As loadBackend has it.
      TF_ENABLE_ONEDNN_OPTS: '1',
    },
  };
}

/**
 * Runs a program of ours to its end.
 *
 * @param {string} program from the repository's top folder
 * @param {{ input: object, threads: number, environment?: Record<string, string> }} options input: what it reads from standard
 *   input, as JSON
 * @returns {string} what it wrote to standard output
 * @throws Error if it failed; it has said why
 */
export function runOurs(program, { input, threads, environment = {} }) {
  const ours = ourProcess(program, threads);
  const { status, stdout } = spawnSync(ours.command, ours.arguments, {
    input: JSON.stringify(input),
    stdio: ['pipe', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
    env: { ...process.env, ...ours.environment, ...environment },
  });
  if (status !== 0) throw new Error('a measurement failed; see its messages above');
  return stdout;
}
