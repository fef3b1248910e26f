import { script } from '../workspace/workspace.mjs';
import { provisionSeaweedfs } from './provision-seaweedfs.mjs';

// `node tools/seaweedfs/install.mjs` prints where the program of SeaweedFS is, installed if it was not.
await script(() => {
  process.stdout.write(`${provisionSeaweedfs()}\n`);
  return Promise.resolve();
});
