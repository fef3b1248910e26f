import { provisionGoProgram } from '../go/provision-go-program.mjs';
import { installWorkspace } from '../workspace/install.mjs';
import { script } from '../workspace/workspace.mjs';
import { provisionResourceDefinitions } from './resource-definitions.mjs';
import { runTests } from './run-tests.mjs';

// `npm run test:helm`: the tests of the Helm chart, with the tools that they need, built once.
await script(async () => {
  await installWorkspace();
  for (const name of ['helm', 'kubeconform', 'kube-score']) provisionGoProgram(name);
  provisionResourceDefinitions();
  return runTests('chart.test.mjs', 'chart-page.test.mjs');
});
