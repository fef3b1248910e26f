import { script } from '../workspace/workspace.mjs';
import { provisionCollector } from './provision-collector.mjs';

// `node tools/collector/install.mjs` prints where the OpenTelemetry collector is, built if it was not.
await script(() => {
  process.stdout.write(`${provisionCollector()}\n`);
  return Promise.resolve();
});
