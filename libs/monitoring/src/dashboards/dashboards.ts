import { metricDefinition, prometheusLabel, prometheusName } from '@infalign/telemetry';
import { legendOf, metricPanel, type Panel } from './metric-panel.js';

/** Panels under a heading. */
export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** A dashboard, apart from Grafana's form of it. */
export interface DashboardDescription {
  /** Of its file, and in its address. */
  readonly name: 'overview' | 'learning' | 'streams' | 'services';
  readonly title: string;
  readonly description: string;
  readonly rows: readonly Row[];
}

const services = metricDefinition('process.cpu.time').services.join('|');
const perRun = ['infalign.run.id'] as const;
const perStage = ['infalign.stage'] as const;
const perTopic = ['infalign.stage', 'messaging.destination.name'] as const;
const perProcess = ['job', 'instance'] as const;

const kl = metricPanel('infalign.learner.kl', {
  title: 'KL of the rollouts learned from',
  by: perRun,
  beside: ['infalign.learner.kl.target'],
});
const winRateInTraining = metricPanel('infalign.learner.reward.calibrated', {
  title: 'Win rate in training',
  by: perRun,
});
const rollouts = metricPanel('infalign.rollouts', { title: 'Rollouts', by: perStage });
const tokens = metricPanel('infalign.tokens', { title: 'Tokens', by: perStage });
const lag: Panel = {
  ...metricPanel('infalign.consumer.lag', { title: 'Records that wait', by: perTopic }),
  queries: [
    {
      expression: `sum by (${perTopic.map(prometheusLabel).join(', ')}) (${prometheusName('infalign.consumer.lag')})`,
      legend: perTopic.map((label) => `{{${prometheusLabel(label)}}}`).join(' '),
    },
  ],
};
const deadLetters = metricPanel('infalign.dead_letters', { title: 'Dead letters', by: perTopic });
const policyVersion = metricPanel('infalign.policy.version', { title: 'Policy version', by: perRun });
const up: Panel = {
  title: 'Processes that answer',
  description:
    "Processes of each service whose metrics Prometheus has read; a service's targets are named for it (job).",
  unit: 'short',
  queries: [{ expression: `sum by (job) (up{job=~"${services}"})`, legend: '{{job}}' }],
};
const firing: Panel = {
  title: 'Alerts',
  description: 'Alerts that are firing: docs/alerts.md tells what they mean.',
  unit: 'short',
  queries: [
    {
      expression: 'sum by (alertname) (ALERTS{alertname=~"Infalign.+", alertstate="firing"})',
      legend: '{{alertname}}',
    },
  ],
};

/** Every dashboard. */
export const dashboards: readonly DashboardDescription[] = [
  {
    name: 'overview',
    title: 'infalign: overview',
    description: 'Whether everything runs, how fast, and how far policies are.',
    rows: [
      { title: 'Is anything wrong', panels: [firing, up, deadLetters] },
      { title: 'Is anything learned', panels: [winRateInTraining, kl, policyVersion] },
      { title: 'How fast', panels: [rollouts, tokens, lag] },
    ],
  },
  {
    name: 'learning',
    title: 'infalign: learning',
    description: 'Rewards, KL, win rates and calibration of runs.',
    rows: [
      {
        title: 'Where the policy is',
        panels: [
          kl,
          metricPanel('infalign.evaluation.kl', { title: 'KL on evaluation prompts', by: perRun }),
          winRateInTraining,
          metricPanel('infalign.win_rate', {
            title: 'Win rate on evaluation prompts, by the reward model',
            by: perRun,
          }),
          metricPanel('infalign.learner.reward.transformed', { title: 'Transformed reward', by: perRun }),
          metricPanel('infalign.learner.reward.raw', { title: 'Raw reward', by: perRun }),
        ],
      },
      {
        title: 'How it moves',
        panels: [
          metricPanel('infalign.learner.beta', { title: 'β', by: perRun }),
          metricPanel('infalign.learner.clip_fraction', { title: 'Share of clipped tokens', by: perRun }),
          metricPanel('infalign.learner.gradient_norm', { title: 'Gradient norm', by: perRun }),
          metricPanel('infalign.learner.policy_loss', { title: 'Policy loss', by: perRun }),
          metricPanel('infalign.learner.value_loss', { title: 'Value loss', by: perRun }),
          metricPanel('infalign.learner.staleness', { title: 'Staleness', by: perRun }),
        ],
      },
      {
        title: 'How far, and how fast',
        panels: [
          policyVersion,
          metricPanel('infalign.policy.age', { title: 'Age of the latest policy version', by: perRun }),
          metricPanel('infalign.learner.iteration.duration', { title: 'Time of an iteration', by: perRun }),
          metricPanel('infalign.learner.waiting.time', { title: 'Share of the time that is waited', by: perRun }),
          metricPanel('infalign.learner.rollouts.dropped', { title: 'Rollouts dropped', by: perRun }),
        ],
      },
      {
        title: 'What rewards mean',
        panels: [
          metricPanel('infalign.calibration.error', { title: 'Calibration error', by: perRun }),
          metricPanel('infalign.calibration.drifts', { title: 'Drifts', by: perRun }),
          metricPanel('infalign.reward.calibrated', {
            title: 'Calibrated rewards',
            by: ['infalign.run.id', 'infalign.purpose'],
          }),
          metricPanel('infalign.reward.raw', { title: 'Raw rewards', by: ['infalign.run.id', 'infalign.purpose'] }),
        ],
      },
    ],
  },
  {
    name: 'streams',
    title: 'infalign: streams',
    description: 'What flows between the stages, what waits, and what could not be used.',
    rows: [
      {
        title: 'What flows',
        panels: [
          rollouts,
          tokens,
          metricPanel('infalign.records.consumed', { title: 'Records consumed', by: perTopic }),
          metricPanel('infalign.records.produced', { title: 'Records produced', by: perTopic }),
        ],
      },
      { title: 'What does not', panels: [lag, deadLetters] },
      {
        title: 'Transactions',
        panels: [
          metricPanel('infalign.processing.duration', { title: 'Time to process the records of one', by: perStage }),
          metricPanel('infalign.transaction.duration', { title: 'Time until it is committed', by: perStage }),
        ],
      },
    ],
  },
  {
    name: 'services',
    title: 'infalign: services',
    description: 'Processes, their calls, and the checkpoint store.',
    rows: [
      {
        title: 'Processes',
        panels: [
          up,
          metricPanel('process.cpu.time', { title: 'Processors in use', by: perProcess }),
          metricPanel('process.memory.usage', { title: 'Memory', by: perProcess }),
          metricPanel('v8js.memory.heap.used', { title: 'Memory of JavaScript objects', by: perProcess }),
          metricPanel('nodejs.eventloop.delay.p99', { title: 'Delay of the event loop', by: perProcess }),
          sinceStart(),
          certificates(),
        ],
      },
      {
        title: 'Calls',
        panels: [metricPanel('rpc.server.call.duration', { title: 'Time of calls', by: ['rpc.method'] }), calls()],
      },
      {
        title: 'Checkpoints',
        panels: [
          metricPanel('infalign.checkpoint.duration', {
            title: 'Time of a checkpoint',
            by: ['job', 'infalign.checkpoint.operation'],
          }),
          metricPanel('infalign.checkpoint.io', {
            title: 'Bytes published and read',
            by: ['job', 'infalign.checkpoint.operation'],
          }),
        ],
      },
    ],
  },
];

function sinceStart(): Panel {
  return {
    title: 'Time since the start of the process',
    description: 'It falls to 0 with each start.',
    unit: 's',
    queries: [
      {
        expression: `time() - max by (${perProcess.join(', ')}) (${prometheusName('process.start.time')})`,
        legend: legendOf(perProcess),
      },
    ],
  };
}

function certificates(): Panel {
  const labels = ['job', prometheusLabel('infalign.certificate.use')];
  return {
    title: 'Time until certificates end',
    description: metricDefinition('infalign.certificate.expiry').description,
    unit: 's',
    queries: [
      {
        expression: `min by (${labels.join(', ')}) (${prometheusName('infalign.certificate.expiry')} - time())`,
        legend: legendOf(labels),
      },
    ],
  };
}

function calls(): Panel {
  const labels = (['rpc.method', 'rpc.response.status_code'] as const).map(prometheusLabel);
  return {
    title: 'Calls by their status',
    description: 'Calls a second, by method and status.',
    unit: 'suffix: calls/s',
    queries: [
      {
        expression: `sum by (${labels.join(', ')}) (rate(${prometheusName('rpc.server.call.duration')}_count[$__rate_interval]))`,
        legend: legendOf(labels),
      },
    ],
  };
}
