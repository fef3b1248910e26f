import { provisionGoProgram } from '../go/provision-go-program.mjs';
import { installWorkspace } from '../workspace/install.mjs';
import { script } from '../workspace/workspace.mjs';
import { provisionControlPlane } from './provision-control-plane.mjs';
import { provisionResourceDefinitions } from './resource-definitions.mjs';
import { runTests } from './run-tests.mjs';

// `npm run test:cluster`: the Helm chart on a real Kubernetes API server, whose nodes are simulated.
await script(async () => {
  await installWorkspace();
  for (const name of ['helm', 'kwok']) provisionGoProgram(name);
  provisionResourceDefinitions();
  provisionControlPlane();
  return runTests('cluster.test.mjs');
});
