// `npm run test:pretrained`: a real model, SmolLM2-135M-Instruct in GGUF, is read here as Python reads it, and computes the
// same. Its file (98 MB) comes in a package of PyPI; the Python environment is that of `npm run test:transformers`.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { smolLm2 } from '../python/smollm2.mjs';
import { installWorkspace } from '../workspace/install.mjs';
import { script, step } from '../workspace/workspace.mjs';
import { cacheFolder, environment, here, run, runScript } from './environment.mjs';

await script(async () => {
  await installWorkspace();
  const python = environment();
  const model = smolLm2(python);
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
