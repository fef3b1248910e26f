// Calls that take a service milliseconds, and do what it is there for.
import { recordsOf } from '../services/real-run.mjs';

/**
 * @param {Record<string, import('../services/five-services.mjs').ServiceProcess>} services
 * @param {import('@infalign/rollout-stream').RolloutStream} stream
 * @param {{ references: string, policy: string }} run that has been carried out
 * @returns {Promise<{ callOf: Record<string, (index: number) => Promise<void>>, close: () => void }>} `callOf`: makes a call
 *   of a service, one of another method with every index, and checks that the answer is one
 */
export async function cheapCalls(services, stream, { references, policy }) {
  const contracts = await import('@infalign/contracts');
  const { topics } = await import('@infalign/rollout-stream');
  const { createRpcClient } = await import('@infalign/rpc');
  const own = async (topic, which) => (await recordsOf(stream, topic)).map(({ value }) => value).filter(which);
  const [request] = await own(
    topics.samplingRequests,
    ({ runId, policyVersion }) => runId === policy && !policyVersion,
  );
  const rollouts = await own(topics.rolloutSampled, ({ runId }) => runId === policy);
  const scored = await own(topics.rolloutScored, ({ rollout }) => rollout.runId === policy && rollout.purpose === 2);
  const referenceRollouts = await own(topics.rolloutScored, ({ rollout }) => rollout.runId === references);
  const states = await own(topics.calibrationState, ({ runId }) => runId === references);

  const clients = [];
  const client = (service, definition) => {
    const made = createRpcClient(definition, { address: services[service].address });
    clients.push(made);
    return made;
  };
  const sampler = client('policy-sampler', contracts.PolicySamplerServiceService);
  const scorer = client('reward-scorer', contracts.RewardScorerServiceService);
  const calibrator = client('calibrator', contracts.CalibratorServiceService);
  const learner = client('ppo-learner', contracts.PpoLearnerServiceService);
  const evaluator = client('evaluator', contracts.EvaluatorServiceService);

  /** One method after another. */
  const inTurn =
    (...methods) =>
    (index) =>
      methods[index % methods.length](index);
  const callOf = {
    // One sample at a time; the last sampler's list beside it.
    'policy-sampler': inTurn(
      ...[1, 2, 3].map(() => async (index) => {
        const asked = { ...request, samples: 1, firstSampleIndex: index, batchId: '' };
        check((await all(sampler.sample({ requests: [asked] }))).length === 1, 'no sample');
      }),
      async () =>
        check((await sampler.listPolicyVersions({ runId: policy })).versions.length === 3, 'versions are missing'),
    ),
    'reward-scorer': inTurn(
      ...[1, 2, 3].map(() => async (index) => {
        const answer = await scorer.score({ rollouts: [rollouts[index % rollouts.length]] });
        check(Number.isFinite(answer.rollouts[0].reward.reward), 'no reward');
      }),
      async () => check((await scorer.listRewardModels({})).models.length === 2, 'reward models are missing'),
    ),
    calibrator: inTurn(
      async () => {
        const asked = { rollouts: scored.slice(0, 4), transformation: 'exp:5', states };
        check((await calibrator.calibrate(asked)).rollouts.length === 4, 'rollouts are missing');
      },
      async (index) => {
        const { runId, promptId } = states[index % states.length];
        check((await calibrator.getCalibration({ runId, promptId })).state.promptId === promptId, 'no calibration');
      },
      async () => {
        const fitted = await calibrator.fitCalibration({ references: referenceRollouts.slice(0, 8) });
        check(fitted.states.length > 0, 'no distribution');
      },
    ),
    'ppo-learner': inTurn(
      async () => check((await learner.getRun({ runId: policy })).state.latest.final, 'the run is not final'),
      async () => check((await learner.getRun({ runId: references })).state.runId === references, 'another run'),
      async () => check((await all(learner.watchRun({ runId: policy }))).length === 2, 'iterations are missing'),
    ),
    evaluator: inTurn(
      ...['standard', 'bon:2'].map((procedure) => async (index) => {
        const points = await all(evaluator.streamFrontier({ procedure, kls: [0, (1 + (index % 50)) / 50] }));
        check(points.length === 2 && points[1].winRate > 0.5, 'points are missing');
      }),
    ),
  };
  return { callOf, close: () => clients.forEach((each) => each.close()) };
}

async function all(items) {
  const taken = [];
  for await (const item of items) taken.push(item);
  return taken;
}

function check(holds, problem) {
  if (!holds) throw new Error(problem);
}
