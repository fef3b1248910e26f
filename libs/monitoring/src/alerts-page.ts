import { alerts, runbookName } from './alerts.js';
import { ruleTime } from './rule-time.js';

/** The page `docs/alerts.md`, as Markdown that is still to be formatted. */
export function alertsPage(): string {
  const time = ruleTime(1);
  const rows = alerts.map((alert) => {
    const page = runbookName(alert);
    return `| [${alert.name}](runbooks/${page}.md) | ${alert.severity} | ${readable(alert.summary)} |`;
  });
  const sections = alerts.map(
    (alert) => `## ${alert.name}

${alert.reason}

\`\`\`promql
${alert.expression(time)}
\`\`\`

${alert.forSeconds === 0 ? 'At once' : `For ${time.duration(alert.forSeconds)}`}, ${alert.severity}. What to do: [runbooks/${runbookName(alert)}.md](runbooks/${runbookName(alert)}.md).`,
  );
  return `# Alerts

${introduction}

| alert | severity | what it says |
| --- | --- | --- |
${rows.join('\n')}

${sections.join('\n\n')}
`;
}

/** What is said, with the names of labels where they will stand. */
function readable(template: string): string {
  return template.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, '_$1_');
}

const introduction = `[\`alerts.yaml\`](../infra/helm/infalign/monitoring/alerts.yaml) has these rules for Prometheus; it lies in the Helm chart, which can make
a PrometheusRule of it ([kubernetes.md](kubernetes.md#monitoring)). The rules and this page are generated from one table (\`libs/monitoring/src/alerts.ts\`), which takes the names of
metrics from their catalogue; a test keeps all of them the same. \`critical\`: nothing goes on until somebody acts; \`warning\`: somebody looks at
it by day.

Targets are to be named for their service: \`job\` is \`policy-sampler\`, \`reward-scorer\`, \`calibrator\`, \`ppo-learner\` or \`evaluator\`.

The four dashboards for Grafana beside it, in [\`dashboards\`](../infra/helm/infalign/monitoring/dashboards), overview, learning, streams and services, show every metric of the
catalogue; they are generated from \`libs/monitoring/src/dashboards\`. An alert about a run is looked into on \`learning\`, one about a stage on
\`streams\`, one about a process on \`services\`. The types that they are built with are generated from Grafana's own schema; they have not been
loaded into Grafana.

\`npm run check:monitoring\` has promtool check rules and dashboards, and run a test of each alert that fires and one that does not
([\`infra/alerts/tests\`](../infra/alerts/tests)). \`npm run test:alerts\` injects into running services the fault that each alert is for, does
what its runbook says, and waits until the alert is over.

Runbooks show commands for services of one machine. On Kubernetes they are run in a pod of the command line, as [an experiment](kubernetes.md#running-an-experiment) is,
with \`--services /etc/infalign/settings/services.yaml\` in \`status\` and \`tail\`; and in place of a process, a Deployment is restarted (\`kubectl rollout restart\`) or
scaled (\`kubectl scale\`).`;
