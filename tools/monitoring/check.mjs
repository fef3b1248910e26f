import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { provisionGoProgram } from '../go/provision-go-program.mjs';
import { root, script } from '../workspace/workspace.mjs';

/** What is generated for Prometheus and Grafana: where the Helm chart can read it. */
const monitoring = join(root, 'infra', 'helm', 'infalign', 'monitoring');

// `npm run check:monitoring`: promtool checks the rules of alerts and the expressions of dashboards, and runs the tests of each alert.
await script(() => {
  const promtool = provisionGoProgram('promtool');
  const run = (cwd, ...parameters) => {
    const { status } = spawnSync(promtool, parameters, { cwd, stdio: 'inherit' });
    if (status !== 0) throw new Error(`promtool ${parameters.slice(0, 2).join(' ')} failed`);
  };
  run(monitoring, 'check', 'rules', '--lint=all', '--lint-fatal', 'alerts.yaml');
  const tests = join(root, 'infra', 'alerts', 'tests');
  run(tests, 'test', 'rules', ...readdirSync(tests));
  const folder = mkdtempSync(join(tmpdir(), 'infalign-dashboards-'));
  try {
    writeFileSync(join(folder, 'dashboards.yaml'), JSON.stringify(dashboardRules()));
    run(folder, 'check', 'rules', '--lint=none', 'dashboards.yaml');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return Promise.resolve();
});

/** What the panels of dashboards ask for, in the form of rules: promtool checks nothing but rules. */
function dashboardRules() {
  const dashboards = join(monitoring, 'dashboards');
  const groups = readdirSync(dashboards).map((file) => {
    const { panels } = JSON.parse(readFileSync(join(dashboards, file), 'utf8'));
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    return {
      name: file,
      // The variables are Grafana's.
      rules: expressions.map((expression, index) => ({
        record: `panel_${index}`,
        expr: expression.replaceAll('$__rate_interval', '2m').replaceAll('$run', '.*'),
      })),
    };
  });
  return { groups };
}
