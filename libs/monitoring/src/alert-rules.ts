import { stringify } from 'yaml';
import { alerts, runbookName } from './alerts.js';
import { ruleTime } from './rule-time.js';

/** A file of rules, as Prometheus and the `spec` of a PrometheusRule have it. */
export interface AlertRules {
  readonly groups: readonly {
    readonly name: string;
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly for: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
    }[];
  }[];
}

/**
 * The rules of all alerts.
 *
 * @param timeScale 1 for the times of the table; less where a test cannot wait so long
 */
export function alertRules(timeScale = 1): AlertRules {
  const time = ruleTime(timeScale);
  const areas = [...new Set(alerts.map(({ area }) => area))];
  return {
    groups: areas.map((area) => ({
      name: `infalign-${area}`,
      rules: alerts
        .filter((alert) => alert.area === area)
        .map((alert) => ({
          alert: alert.name,
          expr: alert.expression(time),
          for: time.duration(alert.forSeconds),
          labels: { severity: alert.severity },
          annotations: {
            summary: alert.summary,
            description: alert.description,
            runbook_url: `docs/runbooks/${runbookName(alert)}.md`,
          },
        })),
    })),
  };
}

/** The rules as YAML. */
export function formatAlertRules(rules: AlertRules): string {
  return stringify(rules, { lineWidth: 0 });
}
