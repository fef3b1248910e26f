import { parseArgs } from 'node:util';
import { buildWorkspace, installWorkspace } from './install.mjs';
import { script } from './workspace.mjs';

// `npm run setup [-- --gpu]`: with --gpu, TensorFlow's library for NVIDIA GPUs, which stays until the npm packages are installed anew.
await script(async () => {
  const { values } = parseArgs({ options: { gpu: { type: 'boolean' } } });
  await installWorkspace(values);
  buildWorkspace();
});
