// The part of the fuzzing that calls services: every method, with bytes instead of requests.
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import { absurd } from './absurd-values.mjs';
import { mutated, pick, randomBytes } from './mutations.mjs';
import { experimentText } from '../services/tiny-experiment.mjs';

/** What an answer may say. Others mean that something has gone wrong in the service. */
const expectedCodes = new Set([
  'OK',
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'FAILED_PRECONDITION',
  'ALREADY_EXISTS',
  'RESOURCE_EXHAUSTED',
  // Of calls that go on until something happens.
  'DEADLINE_EXCEEDED',
]);

/** After its deadline, a call is late. */
const graceMs = 10_000;

/**
 * @typedef {object} Method
 * @property {string} path
 * @property {string} service the program that has it
 * @property {'unary' | 'stream' | 'bidirectional'} kind
 * @property {boolean} standard whether it is gRPC's own: health and reflection answer what they cannot read with INTERNAL
 * @property {Buffer[]} seeds valid requests
 * @property {{ decode: Function, encode: Function } | undefined} type
 */

/**
 * Every method of every service, with valid requests.
 *
 * @param {Map<string, Buffer[]>} records valid ones by topic
 * @param {{ experiment: string, references: string, policy: string }} run that has been carried out
 * @param {{ checkpoints: string }} options
 * @returns {Promise<Method[]>}
 */
export async function methodsOf(records, run, { checkpoints }) {
  const contracts = await import('@infalign/contracts');
  const { topics } = await import('@infalign/rollout-stream');
  const some = (topic, count, which = () => true) =>
    records
      .get(topic.name)
      .map((bytes) => topic.codec.decode(bytes))
      .filter(which)
      .slice(0, count);
  const requests = some(topics.samplingRequests, 3);
  const rollouts = some(topics.rolloutSampled, 4);
  const training = some(topics.rolloutScored, 4, ({ rollout }) => rollout.purpose === 2);
  const references = some(topics.rolloutScored, 8, ({ rollout }) => rollout.purpose === 1);
  const promptIds = new Set(training.map(({ rollout }) => rollout.promptId));
  const states = some(topics.calibrationState, 100, ({ promptId }) => promptIds.has(promptId));
  const { runId, promptId } = references[0].rollout;
  const started = {
    runId: run.references,
    experiment: run.experiment,
    step: 'references/training',
    checkpoints,
  };
  const one = { runId: run.policy };
  const valid = {
    'policy-sampler': [
      contracts.PolicySamplerServiceService,
      { sample: [{ requests: [requests[0]] }, { requests }], listPolicyVersions: [one] },
    ],
    'reward-scorer': [
      contracts.RewardScorerServiceService,
      { score: [{ rollouts }, { rollouts: rollouts.slice(0, 1) }], listRewardModels: [{}] },
    ],
    calibrator: [
      contracts.CalibratorServiceService,
      {
        calibrate: [
          { rollouts: training, transformation: 'exp:5', states: [] },
          { rollouts: training, transformation: 'identity', states },
        ],
        getCalibration: [{ runId, promptId }],
        fitCalibration: [{ references }],
      },
    ],
    'ppo-learner': [
      contracts.PpoLearnerServiceService,
      { startRun: [started], stopRun: [one], getRun: [one], watchRun: [one] },
    ],
    evaluator: [
      contracts.EvaluatorServiceService,
      {
        evaluate: [{ runId: run.policy, policyVersion: 2 }],
        streamFrontier: [
          { procedure: 'bon:4', kls: [0.1, 1] },
          { procedure: 'won:2', kls: [0] },
        ],
      },
    ],
  };
  return Object.entries(valid).flatMap(([service, [definition, bodies]]) => [
    ...Object.entries(definition).map(([name, { path, responseStream, requestSerialize, requestDeserialize }]) => ({
      path,
      service,
      kind: responseStream ? 'stream' : 'unary',
      standard: false,
      seeds: bodies[name].map((body) => requestSerialize(body)),
      type: { decode: requestDeserialize, encode: requestSerialize },
    })),
    ...standardMethods(service, Object.values(definition)[0].path.split('/')[1]),
  ]);
}

/** Health and reflection, whose requests hold a text: `service` is field 1, `list_services` and `file_by_filename` 7 and 3. */
function standardMethods(service, name) {
  const text = (field, value) => Buffer.concat([Buffer.from([(field << 3) | 2, value.length]), Buffer.from(value)]);
  const health = [Buffer.alloc(0), text(1, name), text(1, 'unknown')];
  const reflected = [text(7, ''), text(4, name), text(3, 'infalign/v1/rollout.proto')];
  const standard = { service, standard: true, type: undefined };
  return [
    { ...standard, path: '/grpc.health.v1.Health/Check', kind: 'unary', seeds: health },
    { ...standard, path: '/grpc.health.v1.Health/Watch', kind: 'stream', seeds: health },
    ...['v1', 'v1alpha'].map((version) => ({
      ...standard,
      path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      kind: 'bidirectional',
      seeds: reflected,
    })),
    // Nobody has it.
    { ...standard, path: `/${name}/Unknown`, kind: 'unary', seeds: health },
  ];
}

/** Experiments that are valid, and that no machine can carry out, or that make numbers overflow. */
const absurdExperiments = [
  { sampling: { temperature: 1e-300 } },
  { sampling: { temperature: 1e300 } },
  { sampling: { batch_rollouts: 1e9 } },
  { calibration: { references: 1e6 } },
  { calibration: { references: 4096 } },
  { ppo: { iterations: 1e9 } },
  { ppo: { iterations: 2 ** 53 - 1 } },
  { ppo: { iterations: 1e9, max_staleness: 1e9 } },
  { ppo: { rollouts_per_prompt: 1e9 } },
  { ppo: { learning_rate: 1e30, max_gradient_norm: 1e300 } },
  { ppo: { epochs: 1e9 } },
  { runs: { target_kls: undefined, betas: [1e300] } },
  { runs: { target_kls: undefined, betas: [1e-300] } },
  { runs: { methods: ['ppo/exp:700'] } },
  { evaluation: { samples: 1e6 } },
];

/**
 * Requests to start experiments that make no sense. Each is a run of its own.
 *
 * @param {number} partitions
 * @param {string} checkpoints
 * @returns {Promise<{ runId: string, bytes: Buffer }[]>}
 */
export async function absurdRuns(partitions, checkpoints) {
  const { StartRunRequest } = await import('@infalign/contracts');
  const { policyRuns, runIdOf, stepNames } = await import('@infalign/pipeline');
  const { parseExperiment } = await import('@infalign/run-config');
  return absurdExperiments.flatMap((changes, index) => {
    const experiment = experimentText(`absurd-${index}`, partitions, changes);
    let parsed;
    try {
      parsed = parseExperiment(experiment, 'absurd');
    } catch {
      // It is refused, as it should be.
      return [];
    }
    return [stepNames.trainingReferences, policyRuns(parsed)[0].name].map((step) => {
      const runId = runIdOf(parsed, step);
      return { runId, bytes: Buffer.from(StartRunRequest.encode({ runId, experiment, step, checkpoints }).finish()) };
    });
  });
}

/**
 * Calls methods.
 *
 * @param {Record<string, import('../services/five-services.mjs').ServiceProcess>} services
 * @param {Method[]} methods
 */
export function caller(services, methods) {
  const clients = new Map(
    Object.values(services).map(({ name, address }) => [
      name,
      new Client(address, credentials.createInsecure(), {
        'grpc.enable_http_proxy': 0,
        'grpc.max_receive_message_length': -1,
        'grpc.max_send_message_length': -1,
      }),
    ]),
  );
  const [standard, own] = [true, false].map((which) => methods.filter((method) => method.standard === which));
  /** @type {Record<string, { inputs: number, codes: Record<string, number> }>} */
  const counts = {};
  const failures = [];

  function request(random, method) {
    const which = random.uniform();
    if (which < 0.15) return randomBytes(random);
    if (which < 0.55 || !method.type) return mutated(random, method.seeds);
    return absurd(random, method.seeds, method.type);
  }

  async function call(method, bytes, deadlineMs) {
    const ofMethod = (counts[`${method.service} ${method.path.slice(1)}`] ??= { inputs: 0, codes: {} });
    ofMethod.inputs++;
    const start = performance.now();
    const code = await outcome(clients.get(method.service), method, bytes, deadlineMs);
    const ms = performance.now() - start;
    ofMethod.codes[code.name] = (ofMethod.codes[code.name] ?? 0) + 1;
    const told = `${method.path} with ${bytes.length} bytes ${bytes.toString('hex', 0, 200)}`;
    if (ms > deadlineMs + graceMs) failures.push(`${told}: no answer for ${Math.round(ms)} ms`);
    if (!expectedCodes.has(code.name) && !(method.standard && ['INTERNAL', 'UNIMPLEMENTED'].includes(code.name))) {
      failures.push(`${told}: ${code.name}: ${code.details}`);
    }
  }

  return {
    counts,
    failures,
    /** Makes a request to one of the methods, and waits for its end. */
    call(random) {
      const method = pick(random, random.integer(4) === 0 ? standard : own);
      // Watching health goes on for ever, by its contract.
      const deadlineMs = method.path.endsWith('/Watch') ? 200 : 2000 + random.integer(3000);
      return call(method, request(random, method), deadlineMs);
    },
    start: (bytes) =>
      call(
        methods.find(({ path }) => path.endsWith('/StartRun')),
        bytes,
        20_000,
      ),
    close: () => clients.forEach((client) => client.close()),
  };
}

/** Makes one call, and takes all of its answers. @returns the status that it ended with */
function outcome(client, { path, kind }, bytes, deadlineMs) {
  const same = (value) => value;
  const options = { deadline: Date.now() + deadlineMs };
  return new Promise((resolve) => {
    const ended = (error) =>
      resolve({ name: status[error?.code ?? status.OK], details: error?.details ?? '', metadata: error?.metadata });
    if (kind === 'unary') {
      client.makeUnaryRequest(path, same, same, bytes, new Metadata(), options, ended);
      return;
    }
    const call =
      kind === 'stream'
        ? client.makeServerStreamRequest(path, same, same, bytes, new Metadata(), options)
        : client.makeBidiStreamRequest(path, same, same, new Metadata(), options);
    call.on('data', () => undefined);
    call.on('error', ended);
    call.on('end', () => ended(undefined));
    if (kind === 'bidirectional') {
      call.write(bytes);
      call.end();
    }
  });
}
