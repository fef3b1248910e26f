// The plan for 1,000 samplers and 100,000 rollouts a second: what it takes, from what was measured.
import { simulate } from './simulate.mjs';
import { group, learnerRate, tokens } from './system.mjs';

export const rolloutsPerSecond = 100_000;
export const samplers = 1000;

/** What is assumed, as it is usual: not measured here. Bytes a second. */
export const assumed = {
  /** What a broker takes in and sends to its followers and consumers, of 25 Gbit/s, with room for a broker that is away. */
  brokerBytesPerSecond: 400e6,
  replication: 3,
  /** A pod's share of its node's network. */
  podBytesPerSecond: 125e6,
  /** A pod lives for 12 hours: nodes are drained, upgraded and lost. */
  podLifeSeconds: 12 * 3600,
};

/**
 * Bytes of the record of a rollout in each topic, as our codec encodes it.
 *
 * @param {{ prompt: number, response: number }} length in tokens
 */
export async function recordBytes(length) {
  const { topics } = await import('@infalign/rollout-stream');
  const id = 'f0e1d2c3b4a5968778695a4b3c2d1e0f';
  // Tokens of a vocabulary of 50,000, most of which take three bytes as varints; all floats take four.
  const vocabulary = (count) => Array.from({ length: count }, (_, index) => (index * 7919) % 50_000);
  const rollout = {
    rolloutId: id,
    runId: 'experiment/ppo-exp10-0',
    promptId: 'train-12345',
    purpose: 1,
    policyVersion: 100,
    sampleIndex: 15,
    seed: 4_000_000_000,
    promptTokens: vocabulary(length.prompt),
    responseTokens: vocabulary(length.response),
    logProbs: Array.from({ length: length.response }, (_, index) => -1 - index / 100),
    ended: true,
    temperature: 1,
    batchId: id,
    batchRollouts: 64,
  };
  const sampled = topics.rolloutSampled.codec.encode(rollout);
  const score = { model: 'reward', modelVersion: id + id, reward: 0.5 };
  const scored = { rollout, reward: score };
  const calibrated = {
    scored,
    calibratedReward: 0.75,
    transformedReward: 1.5,
    transformation: 'exp:10',
    calibrationVersion: 3,
    references: 100,
    source: 1,
  };
  return {
    sampled: sampled.length,
    scored: topics.rolloutScored.codec.encode(scored).length,
    calibrated: topics.rolloutCalibrated.codec.encode(calibrated).length,
  };
}

/** What all topics together take, for rollouts of a length. */
export async function planFor(length) {
  const bytes = await recordBytes(length);
  const perRollout = bytes.sampled + bytes.scored + bytes.calibrated;
  const written = perRollout * rolloutsPerSecond;
  // Each byte comes in once and goes to the followers; each topic is read by one group.
  const brokerTraffic = written * (assumed.replication + 1);
  return {
    length,
    bytes,
    writtenBytesPerSecond: written,
    brokers: Math.ceil(brokerTraffic / assumed.brokerBytesPerSecond),
    bytesADay: written * assumed.replication * 86_400,
  };
}

/** How many learners take in what all samplers make. */
export const learners = Math.ceil(rolloutsPerSecond / learnerRate);

/** Rollouts that each sampler has to make, a second. */
export const ratePerSampler = rolloutsPerSecond / samplers;

/** Seconds between two rebalances of a group, if each pod that comes or goes makes one. */
export const secondsBetweenRebalances = assumed.podLifeSeconds / (2 * samplers);

/** Rollouts that each sampler has to be able to make, a second, as all of them stand still at each rebalance. */
export const ratePerSamplerWithRebalances = ratePerSampler / (1 - group.rebalanceSeconds / secondsBetweenRebalances);

/**
 * Rollouts that wait after half an hour of as many as are planned, with all samplers there from the start.
 *
 * @param {{ rate: number, partitions: number, members?: number }} samplers_ `rate`: of each; `members`: of them that are there
 */
export function waitingAfterHalfAnHour({ rate, partitions, members = samplers }) {
  const scaler = { lagThreshold: Number.MIN_VALUE, pollingSeconds: 15, cooldownSeconds: 300, maximum: members };
  const [{ lag }] = simulate(
    {
      stages: [{ name: 'policy-sampler', rate, scaler, replicas: members }],
      partitions,
      group: { ...group, churnSeconds: secondsBetweenRebalances },
    },
    { seconds: 1800, arrivals: () => rolloutsPerSecond },
  );
  return lag[lag.length - 1];
}

/**
 * What a sampler has to be able to make, a second, if it has one partition more than others: where partitions are no multiple of
 * samplers.
 */
export function largestShare(partitions, members) {
  return (Math.ceil(partitions / members) * rolloutsPerSecond) / partitions;
}

/** Lengths that the plan is made for: that of the benchmarks, and a usual one. */
export const lengths = [tokens, { prompt: 128, response: 256 }];

/**
 * How long all samplers take to get a policy, from a store of so many bytes a second.
 *
 * @param {number} checkpointBytes
 * @param {number} storeBytesPerSecond
 */
export function distributionSeconds(checkpointBytes, storeBytesPerSecond) {
  return Math.max((checkpointBytes * samplers) / storeBytesPerSecond, checkpointBytes / assumed.podBytesPerSecond);
}
