import {
  metricDefinition,
  prometheusLabel,
  prometheusName,
  type AttributeName,
  type MetricName,
} from '@infalign/telemetry';

/** A panel of a dashboard: series over time. */
export interface Panel {
  readonly title: string;
  readonly description: string;
  /** As Grafana names it. */
  readonly unit: string;
  readonly queries: readonly PanelQuery[];
}

/** What a panel draws. */
export interface PanelQuery {
  /** In Prometheus's language; `$__rate_interval`, and `$run` for the runs that were chosen, are Grafana's. */
  readonly expression: string;
  /** How a series is called, with its labels in double braces. */
  readonly legend: string;
}

/** How a metric is drawn. */
export interface MetricPanelOptions {
  readonly title: string;
  /** Series are told apart by these; other attributes are summed over, of gauges the largest is taken. */
  readonly by?: readonly (AttributeName | 'job' | 'instance')[];
  /** Drawn beside it, with a name for each in the legend. */
  readonly beside?: readonly MetricName[];
}

const runLabel = prometheusLabel('infalign.run.id');

/**
 * A panel that draws a metric by its kind: of a counter what it grows by in a second, of a histogram its median and 99th
 * percentile, of a gauge its value. Unit and description are those of the catalogue.
 */
export function metricPanel(metric: MetricName, { title, by = [], beside = [] }: MetricPanelOptions): Panel {
  const labels = by.map((label) => (label === 'job' || label === 'instance' ? label : prometheusLabel(label)));
  const all = [metric, ...beside];
  const legend = legendOf(labels);
  return {
    title,
    description: all.map((each) => metricDefinition(each).description).join(' '),
    unit: grafanaUnit(metric),
    queries: all.flatMap((each) =>
      valuesOf(each, labels).map(({ expression, part }) => ({
        expression,
        legend: [legend, part, all.length > 1 ? each.split('.').at(-1) : ''].filter(Boolean).join(' '),
      })),
    ),
  };
}

/** A legend that tells series apart by labels. */
export function legendOf(labels: readonly string[]): string {
  return labels.map((label) => `{{${label}}}`).join(' ');
}

function valuesOf(metric: MetricName, labels: readonly string[]): { expression: string; part: string }[] {
  const name = prometheusName(metric);
  const selector = metricDefinition(metric).attributes.includes('infalign.run.id') ? `{${runLabel}=~"$run"}` : '';
  const { kind } = metricDefinition(metric);
  switch (kind) {
    case 'counter':
    case 'observed counter':
      return [{ expression: `${aggregated('sum', labels)} (rate(${name}${selector}[$__rate_interval]))`, part: '' }];
    case 'gauge':
    case 'observed gauge':
      return [{ expression: `${aggregated('max', labels)} (${name}${selector})`, part: '' }];
    case 'histogram':
      return [0.5, 0.99].map((share) => ({
        expression: `histogram_quantile(${share}, ${aggregated('sum', [...labels, 'le'])} (rate(${name}_bucket${selector}[$__rate_interval])))`,
        part: `p${share * 100}`,
      }));
  }
}

function aggregated(operation: string, labels: readonly string[]): string {
  return labels.length > 0 ? `${operation} by (${labels.join(', ')})` : operation;
}

/** The unit of what is drawn of a metric, as Grafana names it. */
function grafanaUnit(metric: MetricName): string {
  const { kind, unit } = metricDefinition(metric);
  const isRate = kind === 'counter' || kind === 'observed counter';
  // Seconds a second are a share.
  if (unit === 's') return isRate ? 'percentunit' : 's';
  if (unit === 'By') return isRate ? 'binBps' : 'bytes';
  if (unit === '1') return 'percentunit';
  const counted = unit.slice(1, -1);
  return isRate ? `suffix: ${counted}s/s` : `suffix: ${counted}`;
}
