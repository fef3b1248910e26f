import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { root } from '../workspace/workspace.mjs';

/** The folder of the contracts. */
export const protos = join(root, 'protos');

/**
 * Runs buf, as installed by npm, in the folder of the contracts; its plugins are found beside it.
 *
 * @param {readonly string[]} args
 */
export function buf(args) {
  const programs = join(root, 'node_modules', '.bin');
  const { status } = spawnSync(join(programs, 'buf'), args, {
    cwd: protos,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, PATH: `${programs}${delimiter}${process.env.PATH}` },
  });
  if (status !== 0) throw new Error(`buf ${args.join(' ')} failed; see its messages above`);
}

/** Writes the generated TypeScript anew. */
export function generate() {
  buf(['generate']);
}
