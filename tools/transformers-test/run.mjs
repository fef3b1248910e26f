// `npm run test:transformers`: Python's transformers and PEFT load what this repository saves, and compute the same; adapters that PEFT
// saves are read here.
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
  const folders = mkdtempSync(join(cacheFolder(), 'models-'));
  const [models, adapters] = ['models', 'adapters'].map((name) => join(folders, name));
  try {
    step('writing models and what they compute', () => runScript('write-models.mjs', [models]));
    const loaded = step('loading them with transformers', () =>
      run(python, [join(here, 'check_models.py'), models], { allowFailure: true }),
    );
    step('writing adapters and what they compute', () => runScript('write-adapters.mjs', [adapters]));
    const adapted = step('loading them with PEFT, and saving others', () =>
      run(python, [join(here, 'check_adapters.py'), adapters], { allowFailure: true }),
    );
    const read = step('reading those and computing the same', () =>
      runScript('check-adapters.mjs', [adapters], { allowFailure: true }),
    );
    return loaded || adapted || read;
  } finally {
    rmSync(folders, { recursive: true, force: true });
  }
});
