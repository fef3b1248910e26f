// The system that is simulated: what each service does in a second, as it was measured, and what happens to it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../workspace/workspace.mjs';
import { longestWait, replicaSeconds, simulate } from './simulate.mjs';

/** What one thread does of a benchmark's case, a second: results that say nothing of threads are of one. */
function perThread(baseline, title, column = 'ours') {
  const file = join(root, 'tools', 'bench', 'baselines', `${baseline}.json`);
  const { machine, rows } = JSON.parse(readFileSync(file, 'utf8'));
  const row = rows.find((each) => each.case === title);
  if (row === undefined) throw new Error(`${file} has no case "${title}"`);
  return row[column] / (machine.threads ?? 1);
}

/** Tokens of a rollout of the benchmark of samplers: of its prompt, and of its response. */
export const tokens = { prompt: 16, response: 20 };

/** Rollouts that a replica of one thread works off, a second. */
export const rates = {
  'policy-sampler': perThread('samplers', 'sampling, two samplers of one thread beside one', 'peer_value'),
  // A forward pass, which is a third of a training step.
  'reward-scorer': Math.round((3 * perThread('model', 'small, training')) / (tokens.prompt + tokens.response)),
  // It computes next to nothing: what it does is a transaction.
  calibrator: perThread('stream', 'transactional stage, 1 KiB'),
};

/**
 * Records that a replica of one thread works off, a second, of the services that KEDA scales: what its thresholds are made of.
 *
 * @param {number} rolloutsPerPrompt that a request asks the sampler for
 */
export function recordsPerSecond(rolloutsPerPrompt) {
  return {
    'policy-sampler': Math.round(rates['policy-sampler'] / rolloutsPerPrompt),
    'reward-scorer': rates['reward-scorer'],
    // Three forward passes: of policy and reference for the exact KL, and of the reference for its estimates.
    evaluator: Math.round(rates['reward-scorer'] / 3),
  };
}

/** Rollouts that a learner of one thread takes in, a second. */
export const learnerRate = perThread('ppo', 'PPO, a whole iteration');

/**
 * What groups and clusters take their time for. A member hears of a rebalance with its next heartbeat, 0.5 s later at most, and
 * finishes its batch first. Nodes are given up after 40 s, and their pods 300 s later, unless they say otherwise.
 */
export const group = { rebalanceSeconds: 2, sessionTimeoutSeconds: 10, startSeconds: 30, replaceSeconds: 340 };

export const partitions = 24;

/** The stages with a scaler that allows each replica so many seconds of work to wait. */
export function stagesWith({ secondsOfWork, pollingSeconds, cooldownSeconds }) {
  return Object.entries(rates).map(([name, rate]) => ({
    name,
    rate,
    scaler: { lagThreshold: secondsOfWork * rate, pollingSeconds, cooldownSeconds, maximum: partitions },
  }));
}

const hour = 3600;

/** Rollouts a second that are asked for where any are. */
export const load = 5000;

/**
 * What may happen in an hour: rollouts are asked for at times. It begins a second after
 * KEDA has looked, when it takes longest to be noticed.
 */
export const scenarios = {
  'a burst': { seconds: hour, arrivals: (now) => (now >= 301 && now < 901 ? load : 0) },
  'iterations of PPO': { seconds: hour, arrivals: (now) => (now % 300 >= 1 && now % 300 < 61 ? load : 0) },
  'a slow scorer': {
    seconds: hour,
    arrivals: (now) => (now >= 1 && now < 2701 ? load : 0),
    slowness: (now, stage) => (stage === 'reward-scorer' && now >= 1200 && now < 1800 ? 3 : 1),
  },
  'a lost node': {
    seconds: hour,
    arrivals: (now) => (now >= 1 && now < 2701 ? load : 0),
    losses: [{ at: 1500, share: 1 / 3 }],
  },
};

/** What the settings are chosen from. */
export const choices = { secondsOfWork: [5, 10, 20, 40], pollingSeconds: [5, 15, 30], cooldownSeconds: [60, 300, 600] };

/** No record may wait longer at a service: in seconds. */
export const longestAllowed = 120;

/** How settings do: the longest wait at any service in any scenario, and the replicas that all scenarios take, in hours. */
export function judge(settings) {
  const waits = {};
  let seconds = 0;
  let rebalances = 0;
  for (const [title, scenario] of Object.entries(scenarios)) {
    const courses = simulate({ stages: stagesWith(settings), partitions, group }, scenario);
    waits[title] = Math.max(...courses.map((course) => longestWait(course)));
    for (const course of courses) {
      seconds += replicaSeconds(course);
      rebalances += course.rebalances;
    }
  }
  return { settings, waits, longest: Math.max(...Object.values(waits)), replicaHours: seconds / hour, rebalances };
}

/** Every combination of the choices, judged; best first: those that keep the longest wait allowed, by what they cost. */
export function judgeAll() {
  const all = choices.secondsOfWork.flatMap((secondsOfWork) =>
    choices.pollingSeconds.flatMap((pollingSeconds) =>
      choices.cooldownSeconds.map((cooldownSeconds) => judge({ secondsOfWork, pollingSeconds, cooldownSeconds })),
    ),
  );
  return all.sort(
    (a, b) =>
      Number(a.longest > longestAllowed) - Number(b.longest > longestAllowed) || a.replicaHours - b.replicaHours,
  );
}
