import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { kafkaAvailable, provisionKafka } from '../kafka/index.mjs';
import { installWorkspace } from './install.mjs';
import { root, script, step } from './workspace.mjs';

// `npm test [-- VITEST ARGUMENTS]`: installs what is missing, runs every test, and ends with the counts.
await script(async () => {
  await installWorkspace();
  await installServers();
  const report = join(root, 'test-results', 'vitest.json');
  mkdirSync(join(root, 'test-results'), { recursive: true });
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const outcome = spawnSync(
    process.execPath,
    [vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...process.argv.slice(2)],
    { cwd: root, stdio: 'inherit' },
  );
  const counts = JSON.parse(readFileSync(report, 'utf8'));
  const skipped = counts.numPendingTests + counts.numTodoTests;
  process.stdout.write(
    `${counts.numPassedTests} passed, ${counts.numFailedTests} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
  );
  return outcome.status ?? 1;
});

/** What tests run services against. Where it cannot be had, they say which of them they leave out. */
async function installServers() {
  const kafka = kafkaAvailable();
  if (kafka.ok) await step('installing Kafka for tests', () => provisionKafka());
}
