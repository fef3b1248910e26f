import { buildWorkspace, installWorkspace } from './install.mjs';
import { script } from './workspace.mjs';

await script(async () => {
  await installWorkspace();
  buildWorkspace();
});
