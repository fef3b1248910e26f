/** The services, as they name themselves in logs, metrics and traces. */
const services = ['policy-sampler', 'reward-scorer', 'calibrator', 'ppo-learner', 'evaluator'] as const;
/** Those that take records from a topic and produce others, in transactions. */
const stages = ['policy-sampler', 'reward-scorer', 'calibrator', 'evaluator'] as const;

/** A service that records metrics. */
export type RecordingService = (typeof services)[number];

/** What the attributes of metrics and spans mean. */
export const attributes = {
  'infalign.run.id': 'The run.',
  'infalign.stage':
    'The stage, which is also its consumer group: policy-sampler, reward-scorer, calibrator, evaluator, ' +
    'evaluator-requests (asks for the evaluation of final policies) or ppo-learner.',
  'infalign.purpose': 'What rollouts are for: reference, training or evaluation.',
  'infalign.certificate.use': 'What the certificate is for: calls (it serves them) or brokers (a client of Kafka).',
  'infalign.checkpoint.operation': 'What was done to the checkpoint: publish or read.',
  'messaging.destination.name': 'The topic, without its prefix.',
  'messaging.destination.partition.id': 'The partition of the topic.',
  'rpc.method': 'The method called, such as infalign.v1.CalibratorService/Calibrate.',
  'rpc.response.status_code': 'The status of the answer by its name, such as OK.',
} as const;

/** The name of an attribute. */
export type AttributeName = keyof typeof attributes;

/** What is known of a metric. */
export interface MetricDefinition {
  /**
   * `counter`: a sum that only grows; `gauge`: the latest value; `histogram`: a distribution over buckets. What is
   * `observed` is looked up when metrics are collected; the rest is recorded when it happens.
   */
  readonly kind: 'counter' | 'gauge' | 'histogram' | 'observed counter' | 'observed gauge';
  /** In UCUM: `s`, `By`, `1` for shares, and in braces what is counted. */
  readonly unit: string;
  readonly description: string;
  readonly attributes: readonly AttributeName[];
  /** The services that record it. */
  readonly services: readonly RecordingService[];
  /** Upper bounds of a histogram's buckets, above 0, ascending; the last bucket has none. */
  readonly buckets?: readonly number[];
}

/** From a millisecond to five minutes. */
const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const tenths = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
const perRun = ['infalign.run.id'] as const;
const perRollout = ['infalign.stage', 'infalign.run.id', 'infalign.purpose'] as const;

/**
 * Every metric that services record: instruments, the page `docs/telemetry.md`, dashboards and alert rules are derived from
 * this table.
 */
export const metrics = {
  'infalign.rollouts': {
    kind: 'counter',
    unit: '{rollout}',
    description: 'Rollouts that a stage is done with: sampled, scored, calibrated, measured, learned from.',
    attributes: perRollout,
    services,
  },
  'infalign.tokens': {
    kind: 'counter',
    unit: '{token}',
    description: 'Response tokens of the rollouts that a stage is done with.',
    attributes: perRollout,
    services,
  },
  'infalign.records.consumed': {
    kind: 'counter',
    unit: '{record}',
    description: 'Records consumed, undecodable ones included.',
    attributes: ['infalign.stage', 'messaging.destination.name'],
    services,
  },
  'infalign.records.produced': {
    kind: 'counter',
    unit: '{record}',
    description: 'Records produced, dead letters included.',
    attributes: ['infalign.stage', 'messaging.destination.name'],
    services,
  },
  'infalign.dead_letters': {
    kind: 'counter',
    unit: '{record}',
    description: 'Records that could not be used, by the topic that they were read from.',
    attributes: ['infalign.stage', 'messaging.destination.name'],
    services: stages,
  },
  'infalign.consumer.lag': {
    kind: 'observed gauge',
    unit: '{record}',
    description:
      'Records of a partition that the stage has still to consume, looked up by the process that owns the partition; where ' +
      'there are any, markers of transactions count as well.',
    attributes: ['infalign.stage', 'messaging.destination.name', 'messaging.destination.partition.id'],
    services: stages,
  },
  'infalign.processing.duration': {
    kind: 'histogram',
    unit: 's',
    description:
      'Time that a stage took for the records of one transaction: for the policy-sampler, the time of sampling.',
    attributes: ['infalign.stage'],
    services: stages,
    buckets: seconds,
  },
  'infalign.transaction.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Time until a transaction of a stage was committed.',
    attributes: ['infalign.stage'],
    services,
    buckets: seconds,
  },
  // No histogram: OpenTelemetry's leave out values below 0.
  'infalign.reward.raw': {
    kind: 'gauge',
    unit: '{reward}',
    description:
      'Mean raw reward, by the reward model, of the rollouts of the latest transaction. Its scale means nothing before calibration.',
    attributes: ['infalign.run.id', 'infalign.purpose'],
    services: ['reward-scorer'],
  },
  'infalign.reward.calibrated': {
    kind: 'histogram',
    unit: '1',
    description:
      "The share of a prompt's reference rewards that a rollout beats. That of rollouts of the reference policy that the " +
      'references do not hold yet is uniform where calibration is right: purpose reference.',
    attributes: ['infalign.run.id', 'infalign.purpose'],
    services: ['calibrator'],
    buckets: tenths,
  },
  'infalign.calibration.error': {
    kind: 'gauge',
    unit: '1',
    description:
      'Largest distance between the distribution of the calibrated rewards of reference rollouts that the references do not ' +
      'hold yet (the latest 512) and the uniform one; 0 is perfect. Below 1.63/√n, n their number, it is noise.',
    attributes: perRun,
    services: ['calibrator'],
  },
  'infalign.calibration.drifts': {
    kind: 'counter',
    unit: '{drift}',
    description: 'Drifts found: the reference rewards of a prompt come from another distribution than before.',
    attributes: perRun,
    services: ['calibrator'],
  },
  'infalign.win_rate': {
    kind: 'gauge',
    unit: '1',
    description:
      'Win rate over the reference policy by the reward model: the mean calibrated reward of the latest 512 evaluation ' +
      'rollouts of the latest policy version that is evaluated.',
    attributes: perRun,
    services: ['calibrator'],
  },
  'infalign.evaluation.kl': {
    kind: 'gauge',
    unit: '{nat}',
    description:
      'Exact KL between policy and reference policy, mean over the evaluation prompts measured last together.',
    attributes: perRun,
    services: ['evaluator'],
  },
  'infalign.learner.iteration.duration': {
    kind: 'histogram',
    unit: 's',
    description: "Time of one iteration's optimiser steps, with what they need of the models.",
    attributes: perRun,
    services: ['ppo-learner'],
    buckets: seconds,
  },
  'infalign.learner.waiting.time': {
    kind: 'observed counter',
    unit: 's',
    description: 'Time that the learner of a run has waited for rollouts, the wait under way included.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.learner.reward.raw': {
    kind: 'gauge',
    unit: '{reward}',
    description: 'Mean raw reward of the rollouts of the last iteration.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.learner.reward.calibrated': {
    kind: 'gauge',
    unit: '1',
    description:
      'Mean calibrated reward of the rollouts of the last iteration: the win rate over the reference policy in training.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.learner.reward.transformed': {
    kind: 'gauge',
    unit: '{reward}',
    description: 'Mean transformed reward of the rollouts of the last iteration, normalised.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.learner.kl': {
    kind: 'gauge',
    unit: '{nat}',
    description: 'KL between policy and reference policy on the rollouts of the last iteration.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.learner.kl.target': {
    kind: 'gauge',
    unit: '{nat}',
    description: 'The KL asked for; 0 where the run has a fixed β.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.learner.beta': {
    kind: 'gauge',
    unit: '{beta}',
    description: 'KL strength of the last iteration, on the scale of the normalised transformation.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.learner.staleness': {
    kind: 'gauge',
    unit: '{update}',
    description:
      'Updates between the policy that sampled the rollouts of the last iteration and the one that learned from them.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.learner.rollouts.dropped': {
    kind: 'counter',
    unit: '{rollout}',
    description: 'Rollouts that were dropped, as too old or as already there.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.learner.clip_fraction': {
    kind: 'gauge',
    unit: '1',
    description: 'Share of tokens whose ratio was clipped in the last iteration.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.learner.policy_loss': {
    kind: 'gauge',
    unit: '{loss}',
    description: 'Mean policy loss of the last iteration.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.learner.value_loss': {
    kind: 'gauge',
    unit: '{loss}',
    description: 'Mean value loss of the last iteration; 0 where no values are learned.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.learner.gradient_norm': {
    kind: 'gauge',
    unit: '{norm}',
    description: 'Gradient norm before clipping, mean over the optimiser steps of the last iteration.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.policy.version': {
    kind: 'gauge',
    unit: '{version}',
    description: 'The policy version that the learner of a run has announced last.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.policy.age': {
    kind: 'observed gauge',
    unit: 's',
    description:
      'Time since the learner that a run is assigned to has first seen its latest policy version; told while the run is to be ' +
      'learned, whether it can be or not.',
    attributes: perRun,
    services: ['ppo-learner'],
  },
  'infalign.checkpoint.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Time that a checkpoint took to be published or read.',
    attributes: ['infalign.checkpoint.operation'],
    services: ['policy-sampler', 'reward-scorer', 'ppo-learner', 'evaluator'],
    buckets: seconds,
  },
  'infalign.checkpoint.io': {
    kind: 'counter',
    unit: 'By',
    description: 'Bytes of the files of checkpoints that were published or read.',
    attributes: ['infalign.checkpoint.operation'],
    services: ['policy-sampler', 'reward-scorer', 'ppo-learner', 'evaluator'],
  },
  'infalign.certificate.expiry': {
    kind: 'observed gauge',
    unit: 's',
    description: "When the service's certificate ends, in seconds since 1970 (UTC); told where it has one.",
    attributes: ['infalign.certificate.use'],
    services,
  },
  'rpc.server.call.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'Time that calls took, from their arrival to the end of their answer.',
    attributes: ['rpc.method', 'rpc.response.status_code'],
    services,
    buckets: seconds,
  },
  'process.memory.usage': {
    kind: 'observed gauge',
    unit: 'By',
    description: 'Memory of the process that is in use, as the system sees it.',
    attributes: [],
    services,
  },
  'v8js.memory.heap.used': {
    kind: 'observed gauge',
    unit: 'By',
    description: "Memory in use by JavaScript objects, of the interpreter's heap.",
    attributes: [],
    services,
  },
  'process.cpu.time': {
    kind: 'observed counter',
    unit: 's',
    description: 'Processor time of the process, user and system together.',
    attributes: [],
    services,
  },
  'process.start.time': {
    kind: 'observed gauge',
    unit: 's',
    description: 'When the process was started, in seconds since 1970 (UTC).',
    attributes: [],
    services,
  },
  'nodejs.eventloop.delay.p99': {
    kind: 'observed gauge',
    unit: 's',
    description:
      'How long what is due waits for its turn in the process: 99th percentile since metrics were collected last.',
    attributes: [],
    services,
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/** The name of a metric. */
export type MetricName = keyof typeof metrics;

/** The definition of a metric, without its particulars. */
export function metricDefinition(name: MetricName): MetricDefinition {
  return metrics[name];
}

/** Units as they end Prometheus's names; what stands in braces has no name there. */
const prometheusUnits: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes' };

/**
 * The name of a metric in Prometheus, by OpenTelemetry's rules (Prometheus and OpenMetrics compatibility): the unit and
 * `total` end it. It is the same at the scrape endpoint and where a collector or Prometheus itself takes metrics over OTLP.
 * A histogram has the series `NAME_bucket`, `NAME_sum` and `NAME_count`.
 */
export function prometheusName(name: MetricName): string {
  const { kind, unit } = metricDefinition(name);
  const isGauge = kind === 'gauge' || kind === 'observed gauge';
  const isCounter = kind === 'counter' || kind === 'observed counter';
  const unitName = unit === '1' && isGauge ? 'ratio' : prometheusUnits[unit];
  return [
    name.replaceAll('.', '_'),
    ...(unitName === undefined ? [] : [unitName]),
    ...(isCounter ? ['total'] : []),
  ].join('_');
}

/** The name of an attribute as a label in Prometheus. */
export function prometheusLabel(name: AttributeName): string {
  return name.replaceAll('.', '_');
}
