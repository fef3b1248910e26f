import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { buildWorkspace, installWorkspace } from './install.mjs';
import { root, script } from './workspace.mjs';

// `npm start [-- ARGUMENTS]`: everything a fresh clone needs, then the quickstart (resumed if an earlier one was cut off).
await script(async () => {
  await installWorkspace();
  buildWorkspace();
  const arguments_ = [
    'run',
    'experiments/quickstart.yaml',
    '--out',
    'runs/quickstart',
    '--resume',
    ...process.argv.slice(2),
  ];
  const child = spawn(process.execPath, [join(root, 'apps/infalign/bin/infalign.js'), ...arguments_], {
    cwd: root,
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
});
