// `npm run test:transformers`: Python's transformers loads what this repository saves, and computes the same.
//
// The first run makes a Python environment of its own in .cache/ (about two minutes, and 5 GB on Linux, where PyPI's torch
// brings the libraries of CUDA; a pip configured for an index of CPU wheels takes those). Nothing outside .cache/ changes.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { installWorkspace } from '../workspace/install.mjs';
import { script, step } from '../workspace/workspace.mjs';
import { cacheFolder, environment, here, run, runScript } from './environment.mjs';

await script(async () => {
  await installWorkspace();
  const python = environment();
  const models = mkdtempSync(join(cacheFolder(), 'models-'));
  try {
    step('writing models and what they compute', () => runScript('write-models.mjs', [models]));
    return step('loading them with transformers', () =>
      run(python, [join(here, 'check_models.py'), models], { allowFailure: true }),
    );
  } finally {
    rmSync(models, { recursive: true, force: true });
  }
});
