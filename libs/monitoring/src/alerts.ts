import { metricDefinition, prometheusLabel, prometheusName, type MetricName } from '@infalign/telemetry';
import type { RuleTime } from './rule-time.js';

/** What somebody is told of. */
export interface Alert {
  readonly name: `Infalign${string}`;
  /** What it is about: its group among the rules, and the dashboard to look at. */
  readonly area: 'services' | 'streams' | 'learning';
  /** `critical`: nothing goes on until somebody acts, so somebody is woken; `warning`: somebody looks at it by day. */
  readonly severity: 'critical' | 'warning';
  /** One line, with the labels of what is affected in double braces. */
  readonly summary: string;
  /** What is seen, with the value. */
  readonly description: string;
  /** In Prometheus's language: what it gives, the alert is about. */
  expression(time: RuleTime): string;
  /** How long it must hold. */
  readonly forSeconds: number;
  /** Why the numbers are what they are. */
  readonly reason: string;
}

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

const name = prometheusName;
const run = prometheusLabel('infalign.run.id');
const stage = prometheusLabel('infalign.stage');
const topic = prometheusLabel('messaging.destination.name');
const purpose = prometheusLabel('infalign.purpose');
const use = prometheusLabel('infalign.certificate.use');

/** Processes of services: the job of a target is named for its service. */
const services = `job=~"${metricDefinition('process.start.time').services.join('|')}"`;

/** What a counter has grown by in a time. It may have come into being within it: `increase` alone misses its first value. */
function growth(counter: MetricName, window: string): string {
  const series = name(counter);
  return `((${series} unless ${series} offset ${window}) or increase(${series}[${window}]))`;
}

/** Of metrics with runs: only those of runs that are being learned. A gauge keeps the last value of a run that has ended. */
const isBeingLearned = `and on (${run}) ${name('infalign.policy.age')}`;

/** The least that has waited for each stage, over a time. */
function leastLag(window: string, offset = ''): string {
  return `sum by (${stage}, ${topic}) (min_over_time(${name('infalign.consumer.lag')}[${window}]${offset}))`;
}

/** Every alert. Rules, their page and the tests are derived from this table. */
export const alerts: readonly Alert[] = [
  {
    name: 'InfalignServiceDown',
    area: 'services',
    severity: 'critical',
    summary: '{{ $labels.job }} at {{ $labels.instance }} does not answer',
    description: 'Prometheus has not been able to read the metrics of this process for two minutes.',
    expression: () => `up{${services}} == 0`,
    forSeconds: 2 * minute,
    reason:
      'A process that is restarted answers again within a minute: it opens its endpoint before it connects to brokers. A ' +
      'process that is not to run any more is no target, and so is none that is down.',
  },
  {
    name: 'InfalignServiceRestarting',
    area: 'services',
    severity: 'warning',
    summary: '{{ $labels.job }} at {{ $labels.instance }} keeps restarting',
    description: 'The process has been started anew {{ $value }} times within half an hour.',
    expression: ({ duration }) => `changes(${name('process.start.time')}{${services}}[${duration(30 * minute)}]) >= 3`,
    forSeconds: 0,
    reason:
      'A change of settings and an upgrade within the same half hour restart a process twice. Each start has a time of its ' +
      'own, so that changes of it count the restarts, however short a process lives between them.',
  },
  {
    name: 'InfalignCertificateExpiring',
    area: 'services',
    severity: 'warning',
    summary: 'The certificate of {{ $labels.job }} for {{ $labels.infalign_certificate_use }} ends soon',
    description: 'It ends in {{ $value | humanizeDuration }}; from then on nobody can connect.',
    // Not on the scale of the other times: what it is compared with is a date, and no time that passes in the rule.
    expression: () => `min by (job, ${use}) (${name('infalign.certificate.expiry')} - time()) < ${14 * day}`,
    forSeconds: 10 * minute,
    reason:
      'Whoever renews certificates by machine does so a month before they end, so two weeks mean that this has failed for ' +
      'two weeks; and two weeks are long enough for people who come back from a holiday.',
  },
  {
    name: 'InfalignDeadLetters',
    area: 'streams',
    severity: 'warning',
    summary: '{{ $labels.infalign_stage }} cannot use records of {{ $labels.messaging_destination_name }}',
    description: '{{ printf "%.0f" $value }} records went to the dead-letter topic within ten minutes.',
    expression: ({ duration }) =>
      `sum by (${stage}, ${topic}) (${growth('infalign.dead_letters', duration(10 * minute))}) > 0`,
    forSeconds: 0,
    reason: 'Nothing that works makes records that cannot be used: a single one has a cause that is worth knowing.',
  },
  {
    name: 'InfalignLagGrowing',
    area: 'streams',
    severity: 'warning',
    summary: '{{ $labels.infalign_stage }} falls behind on {{ $labels.messaging_destination_name }}',
    description:
      'At no time in the last ten minutes were there fewer than {{ $value }} records waiting, and they grow more.',
    expression({ duration }) {
      const window = duration(10 * minute);
      return `${leastLag(window)} > 1.1 * ${leastLag(window, ` offset ${window}`)} + 100`;
    },
    forSeconds: 15 * minute,
    reason:
      'Work comes in bursts: an iteration, or all references of a run at once. What counts is the least that waited over ten ' +
      'minutes, which is nothing where a stage gets through its bursts, beside the ten minutes before; a burst shows in this ' +
      'for ten minutes only, and so not for fifteen. 100 records and a tenth are more than the batches that are under way.',
  },
  {
    name: 'InfalignLearnerStarved',
    area: 'learning',
    severity: 'warning',
    summary: 'The learner of {{ $labels.infalign_run_id }} has nothing to learn from',
    description: 'It has waited for rollouts {{ $value | humanizePercentage }} of the last ten minutes.',
    expression: ({ duration }) =>
      `sum by (${run}) (rate(${name('infalign.learner.waiting.time')}[${duration(10 * minute)}])) > 0.95`,
    forSeconds: 10 * minute,
    reason:
      'A learner on-policy waits while its rollouts are sampled, which can be most of the time. Above 95 % for twenty minutes ' +
      'the device it occupies stands still, whatever the reason.',
  },
  {
    name: 'InfalignNoNewPolicyVersion',
    area: 'learning',
    severity: 'critical',
    summary: '{{ $labels.infalign_run_id }} has had no new policy version for long',
    description: 'The last one was announced {{ $value | humanizeDuration }} ago, and the run is not finished.',
    expression: ({ seconds }) => `min by (${run}) (${name('infalign.policy.age')}) > ${seconds(30 * minute)}`,
    forSeconds: 0,
    reason:
      'An iteration takes from seconds to some minutes. Runs whose iterations take longer than a quarter of an hour need a ' +
      'larger number here.',
  },
  {
    name: 'InfalignKlRunningAway',
    area: 'learning',
    severity: 'warning',
    summary: 'The policy of {{ $labels.infalign_run_id }} runs away from its reference',
    description: 'Its KL is {{ printf "%.2f" $value }} nats.',
    expression() {
      const [kl, target] = [name('infalign.learner.kl'), name('infalign.learner.kl.target')];
      // What is not equal to itself is no number.
      const tooFar = `${kl} > 2 * ${target} + 0.5 and ${target} > 0 or ${kl} > 10 or ${kl} != ${kl}`;
      return `max by (${run}) ((${tooFar}) ${isBeingLearned})`;
    },
    forSeconds: 10 * minute,
    reason:
      'Where a KL is asked for, twice as much and half a nat is more than its control overshoots by on the way there. Where ' +
      'β is fixed: best-of-N among 50,000 responses has 9.8 nats (ln N − (N−1)/N), and nobody aligns for more.',
  },
  {
    name: 'InfalignCalibrationDrifting',
    area: 'learning',
    severity: 'warning',
    summary: 'Reference rewards of {{ $labels.infalign_run_id }} have changed',
    description:
      'For {{ printf "%.0f" $value }} prompts within an hour they come from another distribution than before.',
    expression: ({ duration }) => `sum by (${run}) (${growth('infalign.calibration.drifts', duration(hour))}) >= 4`,
    forSeconds: 0,
    reason:
      'A drift test alarms once in 1000 where nothing has changed (drift_false_alarm_rate): 256 prompts give one false alarm ' +
      'in four rounds of tests, and four within one round once in 7000. A reward model or reference policy that has changed ' +
      'shows in most prompts at once.',
  },
  {
    name: 'InfalignCalibrationWrong',
    area: 'learning',
    severity: 'warning',
    summary: 'Calibrated rewards of {{ $labels.infalign_run_id }} are not uniform under the reference policy',
    description: 'Their distribution is {{ printf "%.2f" $value }} away from the uniform one.',
    expression() {
      const error = `${name('infalign.calibration.error')} > 0.15`;
      const count = `${name('infalign.reward.calibrated')}_count{${purpose}="reference"} >= 512`;
      return `max by (${run}) (${error} and on (${run}, instance) ${count})`;
    },
    forSeconds: 15 * minute,
    reason:
      'With 512 rollouts, distances above 0.07 come by chance once in 100 times (1.63/√512), and twice that never; with fewer ' +
      'rollouts the noise is larger, and nothing is told.',
  },
];

/** The name of an alert's page in `docs/runbooks`, without its ending. */
export function runbookName(alert: Pick<Alert, 'name'>): string {
  return alert.name
    .slice('Infalign'.length)
    .replaceAll(/(?<=.)[A-Z]/g, (letter) => `-${letter}`)
    .toLowerCase();
}
