import { attributes, metricDefinition, metrics, prometheusLabel, prometheusName, type MetricName } from './metrics.js';

const introduction = `# Metrics

Every metric that the services record; [telemetry.md](telemetry.md) says how they are read. This page is generated from the table in
[\`libs/telemetry/src/metrics.ts\`](../libs/telemetry/src/metrics.ts), from which the instruments are made as well; a test keeps the two the
same.

Names are OpenTelemetry's; below each stands the one that it has in Prometheus, where a histogram has the series \`NAME_bucket\`,
\`NAME_sum\` and \`NAME_count\`, and dots in attributes become underscores. Units are in UCUM: \`s\`, \`By\` (bytes), \`1\` (a share), and in
braces what is counted.
`;

/** The page on metrics, as Markdown, unformatted. */
export function metricsReference(): string {
  const names = Object.keys(metrics) as MetricName[];
  const rows = names.map((name) => {
    const { kind, unit, description, attributes: own, services } = metricDefinition(name);
    const cells = [
      `\`${name}\`<br>\`${prometheusName(name)}\``,
      `${kind}, ${unit}`,
      description,
      own.map((attribute) => `\`${attribute}\``).join('<br>'),
      services.length === 5 ? 'all' : services.join(', '),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const meanings = Object.entries(attributes).map(
    ([name, meaning]) => `| \`${name}\` | \`${prometheusLabel(name as keyof typeof attributes)}\` | ${meaning} |`,
  );
  return [
    introduction,
    '| metric | kind, unit | what it says | attributes | services |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
    '## Attributes',
    '',
    '| attribute | label in Prometheus | what it says |',
    '| --- | --- | --- |',
    ...meanings,
    '',
    'At the scrape endpoint every series also has the label `service_name`; over OTLP, `service.name` and `service.instance.id` are in the',
    'resource.',
    '',
  ].join('\n');
}
