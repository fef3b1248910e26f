import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { alertRules, formatAlertRules } from './alert-rules.js';
import { alertsPage } from './alerts-page.js';
import { alerts, runbookName } from './alerts.js';
import { askedFor, catalogueSeries, prometheusOwnSeries } from './promql.fixture.js';

const root = resolve(import.meta.dirname, '../../..');
const path = (name: string): string => resolve(root, name);

/** As promtool reads it. */
interface RuleTests {
  readonly tests: readonly {
    readonly input_series: readonly { readonly series: string }[];
    readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
  }[];
}

describe('the rules in the chart and docs/alerts.md', () => {
  const generated =
    '# Generated from libs/monitoring/src/alerts.ts (npx vitest run --project @infalign/monitoring -u).\n';
  it.each([
    ['infra/helm/infalign/monitoring/alerts.yaml', 'yaml', () => generated + formatAlertRules(alertRules())],
    ['docs/alerts.md', 'markdown', alertsPage],
  ])(
    '%s is what the table of alerts says (after a change: npx vitest run --project @infalign/monitoring -u)',
    async (name, parser, make) => {
      const file = path(name);
      const text = await format(make(), { ...(await resolveConfig(file)), parser });
      await expect(text).toMatchFileSnapshot(file);
    },
  );
});

describe('the alerts', () => {
  it.each(alerts)('$name asks for metrics of the catalogue, with labels that they have', (alert) => {
    const { groups } = alertRules();
    const { expr, annotations } = groups.flatMap(({ rules }) => rules).find((rule) => rule.alert === alert.name)!;
    const { series, grouping } = askedFor(expr);
    expect(series.size).toBeGreaterThan(0);
    const known = new Map([...catalogueSeries, ...prometheusOwnSeries]);
    const all = ['job', 'instance'];
    for (const [name, labels] of series) {
      expect(known.has(name), `${name} is no metric`).toBe(true);
      const own = [...known.get(name)!, 'job', 'instance'];
      for (const label of labels) expect(own, name).toContain(label);
      all.push(...own);
    }
    for (const label of grouping) expect(all).toContain(label);
    const kept = /^(?:sum|min|max) by \(([^)]*)\)/.exec(expr)?.[1]?.split(', ') ?? all;
    for (const [, label] of `${annotations['summary']} ${annotations['description']}`.matchAll(/\$labels\.(\w+)/g)) {
      expect(kept).toContain(label);
    }
  });

  it.each(alerts)('$name has a runbook, and a test of the rule that fires and one that does not', ({ name }) => {
    const page = runbookName({ name });
    expect(existsSync(path(`docs/runbooks/${page}.md`))).toBe(true);
    const { tests } = parse(readFileSync(path(`infra/alerts/tests/${page}.yaml`), 'utf8')) as RuleTests;
    const outcomes = tests.flatMap(({ alert_rule_test }) =>
      alert_rule_test.filter(({ alertname }) => alertname === name),
    );
    expect(new Set(outcomes.map(({ exp_alerts }) => exp_alerts.length > 0))).toEqual(new Set([true, false]));
  });

  it.each(alerts)('$name has a runbook whose commands exist, and which says when it is over', ({ name }) => {
    const page = readFileSync(path(`docs/runbooks/${runbookName({ name })}.md`), 'utf8');
    expect(page).toMatch(/^# .+\n[^]+\n## Look\n[^]+\n## Do\n[^]+\n## Over when\n\n.+/);
    for (const [, command] of page.matchAll(/^ *\$ (.+)$/gm)) {
      const [program, ...rest] = command!.split(' ');
      if (program === 'npx') {
        expect(existsSync(path(`apps/${rest[0]}/bin/${rest[0]}.js`)), command).toBe(true);
        if (rest[0] === 'infalign') {
          expect(existsSync(path(`apps/infalign/src/commands/${rest[1]}.ts`)), command).toBe(true);
        }
      } else {
        expect(program, command).toBe('grpcurl');
        const [, service, method] = /infalign\.v1\.(\w+)Service\/(\w+)$/.exec(command!)!;
        const proto = service!.replaceAll(/(?<=.)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
        expect(readFileSync(path(`protos/infalign/v1/${proto}.proto`), 'utf8')).toContain(`rpc ${method}(`);
      }
    }
  });

  it('are the only ones that have runbooks and tests', () => {
    const pages = alerts.map(runbookName).sort();
    expect(readdirSync(path('infra/alerts/tests')).sort()).toEqual(pages.map((page) => `${page}.yaml`));
    expect(readdirSync(path('docs/runbooks')).sort()).toEqual(pages.map((page) => `${page}.md`));
  });

  it('keep their thresholds of time in proportion on another scale', () => {
    const rule = (name: string, scale: number) =>
      alertRules(scale)
        .groups.flatMap(({ rules }) => rules)
        .find(({ alert }) => alert === name)!;
    expect(rule('InfalignNoNewPolicyVersion', 1).expr).toMatch(/> 1800$/);
    expect(rule('InfalignNoNewPolicyVersion', 1 / 60).expr).toMatch(/> 30$/);
    expect(rule('InfalignLearnerStarved', 1 / 60)).toMatchObject({
      for: '10s',
      expr: expect.stringContaining('[10s]') as string,
    });
    expect(rule('InfalignServiceDown', 1 / 80)).toMatchObject({ for: '1500ms' });
  });
});
