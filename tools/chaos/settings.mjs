/** Of all topics, and so of the experiment. */
export const partitions = 6;

/** Copies of each partition, one on every broker. */
export const replication = 3;

/** The five services, and how many processes each has: those that are a consumer group's members also fail over. */
export const replicas = {
  'policy-sampler': 2,
  'reward-scorer': 2,
  calibrator: 1,
  'ppo-learner': 1,
  evaluator: 1,
};

/** The services, in the order in which rollouts meet them. */
export const serviceTitles = Object.keys(replicas);

/**
 * @param {number} kills
 * @returns {number} so many iterations of PPO that kills are spread over a run of services
 */
export function iterationsFor(kills) {
  return Math.max(8, Math.ceil(1.5 * kills));
}

/**
 * The whole method, as small as it goes.
 *
 * @param {number} iterations of PPO
 * @returns {string} the experiment file
 */
export function experimentFile(iterations) {
  return `name: chaos
seed: 1
dataset: {kind: state-of-the-union}
prompts: {tokens: 8, train: 24, calibration: 8, evaluation: 12}
tokenizer: {vocabulary: 400}
model: {hidden_size: 32, intermediate_size: 64, layers: 1, heads: 2, key_value_heads: 1, context: 32,
  training: {steps: 60, batch: 16, window: 24, warmup_steps: 5, learning_rate: 5e-3}}
reward_model: {pairs: 24, held_out_pairs: 8}
judge: {pairs: 24, held_out_pairs: 8, model: {hidden_size: 48, intermediate_size: 96, layers: 1, heads: 2, key_value_heads: 1,
  context: 32, training: {steps: 20, batch: 8, window: 24, warmup_steps: 5}}}
sampling: {max_response_tokens: 16, batch_rollouts: 8}
calibration: {references: 16}
runs: {methods: ["ppo/exp:5"], target_kls: [0.2]}
procedures: [standard, "bon:4"]
ppo: {iterations: ${iterations}, prompts_per_iteration: 12, rollouts_per_prompt: 4, advantages: value}
evaluation: {samples: 8, bootstrap_resamples: 200}
stream: {partitions: ${partitions}}
`;
}

/**
 * @param {object} options
 * @param {readonly string[]} options.brokers
 * @param {string} options.store folder of the checkpoint store
 * @param {Record<string, number>} options.ports by service, where its first process listens
 * @param {number} [options.copies] of each partition
 * @returns {string} the services file
 */
export function servicesFile({ brokers, store, ports, copies = replication }) {
  const services = serviceTitles.map((title) => `  ${title.replace('-', '_')}: {port: ${ports[title]}}\n`);
  return `store: ${JSON.stringify(store)}
stream:
  brokers: [${brokers.join(', ')}]
  partitions: ${partitions}
  replication: ${copies}
  session_timeout_ms: 6000
services:
${services.join('')}`;
}
