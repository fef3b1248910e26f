import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { metricDefinition, metrics, type MetricName } from '@infalign/telemetry';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { askedFor, catalogueSeries, prometheusOwnSeries, seriesNames } from '../promql.fixture.js';
import { dashboards } from './dashboards.js';
import { grafanaDashboard } from './grafana-dashboard.js';

const folder = resolve(import.meta.dirname, '../../../../infra/helm/infalign/monitoring/dashboards');
const panels = dashboards.flatMap(({ name, rows }) =>
  rows.flatMap((row) => row.panels.map((panel) => ({ ...panel, place: `${name}: ${panel.title}` }))),
);
/** As Grafana asks. */
const asked = (expression: string) =>
  askedFor(expression.replaceAll('$__rate_interval', '2m').replaceAll('$run', '.*'));

describe('the dashboards in the chart', () => {
  it.each(dashboards)(
    'has the dashboard $name as it is described (after a change: npx vitest run --project @infalign/monitoring -u)',
    async (dashboard) => {
      const file = resolve(folder, `${dashboard.name}.json`);
      const options = { ...(await resolveConfig(file)), parser: 'json' };
      await expect(await format(JSON.stringify(grafanaDashboard(dashboard)), options)).toMatchFileSnapshot(file);
    },
  );

  it('has no others', () => {
    expect(readdirSync(folder).sort()).toEqual(dashboards.map(({ name }) => `${name}.json`).sort());
  });
});

describe('the panels', () => {
  it.each(panels)('$place asks for metrics of the catalogue, by labels that they have, and names its unit', (panel) => {
    expect(panel.unit).not.toBe('');
    const known = new Map([...catalogueSeries, ...prometheusOwnSeries]);
    for (const { expression, legend } of panel.queries) {
      const { series, grouping } = asked(expression);
      expect(series.size).toBeGreaterThan(0);
      for (const [name, labels] of series) {
        expect(known.has(name), `${name} is no metric`).toBe(true);
        const own = [...known.get(name)!, 'job', 'instance'];
        for (const label of [...labels, ...grouping]) expect(own, name).toContain(label);
      }
      const told = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
      expect([...grouping].filter((label) => label !== 'le').sort()).toEqual(told.sort());
    }
  });

  it.each(Object.keys(metrics) as MetricName[])('show %s', (metric) => {
    const shown = panels.flatMap(({ queries }) =>
      queries.flatMap(({ expression }) => [...asked(expression).series.keys()]),
    );
    expect(seriesNames(metric).some((name) => shown.includes(name))).toBe(true);
  });

  it('draw counters as rates and histograms as percentiles, never as they are', () => {
    for (const { place, queries } of panels) {
      for (const { expression } of queries) {
        for (const name of asked(expression).series.keys()) {
          const metric = (Object.keys(metrics) as MetricName[]).find((each) => seriesNames(each).includes(name));
          if (!metric || !/counter|histogram/.test(metricDefinition(metric).kind)) continue;
          expect(expression, place).toContain(`rate(${name}`);
        }
      }
    }
  });

  it('have places of their own on the dashboard', () => {
    for (const dashboard of dashboards) {
      const taken = new Set<string>();
      for (const panel of grafanaDashboard(dashboard).panels!) {
        const { x, y, w, h } = panel.gridPos!;
        expect(x + w).toBeLessThanOrEqual(24);
        for (let row = y; row < y + h; row++) {
          for (let column = x; column < x + w; column++) {
            expect(taken.has(`${row} ${column}`), `${dashboard.name}: ${panel.title}`).toBe(false);
            taken.add(`${row} ${column}`);
          }
        }
      }
    }
  });
});
