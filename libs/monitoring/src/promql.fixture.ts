import { metricDefinition, metrics, prometheusLabel, prometheusName, type MetricName } from '@infalign/telemetry';
import { parser } from '@prometheus-io/lezer-promql';

/** The series that each metric of the catalogue has in Prometheus, with their labels. */
export const catalogueSeries: ReadonlyMap<string, readonly string[]> = new Map(
  (Object.keys(metrics) as MetricName[]).flatMap((metric) => {
    const labels = metricDefinition(metric).attributes.map(prometheusLabel);
    return seriesNames(metric).map((name) => [name, name.endsWith('_bucket') ? [...labels, 'le'] : labels] as const);
  }),
);

/** What Prometheus itself says of every target. */
export const prometheusOwnSeries: ReadonlyMap<string, readonly string[]> = new Map([
  ['up', []],
  ['ALERTS', ['alertname', 'alertstate', 'severity']],
]);

/** The names that a metric's series have in Prometheus. */
export function seriesNames(metric: MetricName): string[] {
  const name = prometheusName(metric);
  return metricDefinition(metric).kind === 'histogram'
    ? ['bucket', 'sum', 'count'].map((part) => `${name}_${part}`)
    : [name];
}

/** What an expression asks for. */
export interface AskedFor {
  /** The series by their names: the labels that they are selected by. */
  readonly series: ReadonlyMap<string, readonly string[]>;
  /** The labels that series are aggregated and matched by. */
  readonly grouping: ReadonlySet<string>;
}

/**
 * What an expression asks for, by Prometheus's own grammar.
 *
 * @throws Error where it cannot be parsed
 */
export function askedFor(expression: string): AskedFor {
  const series = new Map<string, string[]>();
  const grouping = new Set<string>();
  let latest: string[] = [];
  parser.parse(expression).iterate({
    enter({ type, from, to, node }) {
      const text = expression.slice(from, to);
      if (type.isError) throw new Error(`${expression.slice(0, from)}⟨here⟩${expression.slice(from)}`);
      if (type.name === 'Identifier' && node.parent?.name === 'VectorSelector') {
        latest = series.get(text) ?? [];
        series.set(text, latest);
      }
      if (type.name !== 'LabelName') return;
      if (node.parent?.name === 'GroupingLabels') grouping.add(text);
      else latest.push(text);
    },
  });
  return { series, grouping };
}
