// docs/scaling.md, with what follows from the committed benchmarks worked out from them.
import { defaults } from './defaults.mjs';
import { learners, ratePerSamplerWithRebalances } from './plan.mjs';
import { choices, group, judge, learnerRate, load, longestAllowed, partitions, rates } from './system.mjs';

const count = (value) => Math.round(value).toLocaleString('en');
const hours = ({ replicaHours }) => replicaHours.toFixed(1);

/** The page, in Markdown. */
export function scalingPage() {
  const chosen = judge(defaults);
  const twice = judge({ ...defaults, secondsOfWork: 2 * defaults.secondsOfWork });
  const half = judge({ ...defaults, secondsOfWork: defaults.secondsOfWork / 2 });
  const patient = judge({ ...defaults, cooldownSeconds: 300 });
  const slow = judge({ ...defaults, pollingSeconds: 30 });
  const combinations = Object.values(choices).reduce((product, { length }) => product * length, 1);
  const replicas = Object.entries(rates).map(([name, rate]) => `${Math.ceil(load / rate)} of the ${name}`);
  return `# Scaling

Samplers, scorers, calibrators and evaluators scale with consumer lag: KEDA starts the first replica when records wait, Kubernetes' autoscaler
(HPA) has as many as the lag asks for, no more than there are partitions, and KEDA stops the last one when nothing has waited for a while. Learners
do not scale this way: a run is learned by one.

What this page says of courses and settings is simulated (\`tools/scaling\`): records are a continuous quantity that flows through the
partitions of a topic; KEDA and the HPA decide as they do (polling, cooldown, a sync every 15 s, tolerance of 10 %, up by 100 % or 4 pods in
15 s, down to the most that was wanted in 5 minutes); a group stands still while it is rebalanced, and the partitions of a lost replica until its
session times out. Services are as fast as they were measured ([benchmarks.md](benchmarks.md)); it has not been compared with a real cluster.

| a replica of one thread | rollouts/s | from                                                            |
| ----------------------- | ---------: | --------------------------------------------------------------- |
| policy-sampler          |        ${count(rates['policy-sampler'])} | \`tools/bench/baselines/samplers.json\`: 16 + 20 tokens           |
| reward-scorer           |      ${count(rates['reward-scorer'])} | a forward pass: a third of a training step, \`model.json\`, small |
| calibrator              |     ${count(rates.calibrator)} | it does little but transactions: \`stream.json\`                  |
| ppo-learner             | ${count(learnerRate)} | \`ppo.json\`: a whole iteration of PPO                            |

A rebalance takes ${group.rebalanceSeconds} s (heartbeats are 0.5 s apart, and a batch is finished first), a session times out after ${group.sessionTimeoutSeconds} s, a replica is ready ${group.startSeconds} s after it
was created, and Kubernetes gives a node's pods up after ${group.replaceSeconds} s. There are ${partitions} partitions.

## Defaults

| setting              | default                        |
| -------------------- | ------------------------------ |
| lag for each replica | ${defaults.secondsOfWork} seconds of a replica's work |
| polling interval     | ${defaults.pollingSeconds} s |
| cooldown             | ${defaults.cooldownSeconds} s |

They are the cheapest of ${combinations} combinations, in replica hours over the four hours below, with which no rollout waits longer than ${longestAllowed} s at any service.
The longest wait is ${chosen.longest} s, at ${hours(chosen)} replica hours. Twice the lag for each replica takes ${hours(twice)} hours, and the longest wait is ${twice.longest} s; half of it
takes ${hours(half)}. A cooldown of 300 s takes ${hours(patient)} hours; with 30 s between polls it is ${hours(slow)}, and the longest wait ${slow.longest} s. \`npm run scaling\` lists
them all.

KEDA counts records, so the lag threshold of a service is ${defaults.secondsOfWork} × what a replica works off in a second. The sampler's records are requests: its rate is
that of rollouts over \`rollouts_per_prompt\`. An evaluator has three forward passes to do for a rollout, so a third of a scorer's rate. The defaults of the
[chart](kubernetes.md#scaling) (\`recordsPerSecond\`) are about these, as a test sees to. Measure your own model's rate; a threshold that is off by two costs or waits as above.

## Courses

${count(load)} rollouts a second, which take these replicas: ${replicas.join(', ')}.

![A burst of ten minutes: lag and replicas](images/scaling-burst.svg)

![A minute of work every five minutes: lag and replicas](images/scaling-iterations-of-ppo.svg)

![A scorer that is three times slower for ten minutes: lag and replicas](images/scaling-slow-scorer.svg)

![A third of all replicas lost with their node: lag and replicas](images/scaling-lost-node.svg)

## A plan for 1,000 samplers and 100,000 rollouts a second

On paper: nobody has run it. A test checks its numbers by the same simulation (\`tools/scaling/plan.test.mjs\`).

| what                                  | 16 + 20 tokens        | 128 + 256 tokens             |
| ------------------------------------- | --------------------- | ---------------------------- |
| a record: sampled, scored, calibrated | 307, 395, 430 bytes   | 2,182, 2,270, 2,305 bytes    |
| written to topics                     | 113 MB/s              | 676 MB/s                     |
| brokers, of 400 MB/s each             | 2; 3 for three copies | 7; 8 so that one may be away |
| kept a day, in three copies           | 29 TB                 | 175 TB                       |

- **Bytes.** Record sizes are those of the codec. Each byte comes in once, goes to two followers and to one consumer group. 400 MB/s is what we assume
  of a broker with 25 Gbit/s and room to spare. \`retention_hours\` of 168 would keep 1.2 PB of long rollouts: 6 hours keep 44 TB.
- **Partitions.** 1,000, one a sampler, or at least ten times as many. With 1,200, two hundred samplers get two partitions and have to make 167 rollouts a second
  where others make 83: in the simulation they fall behind for good.
- **Samplers.** 100 rollouts a second each, but ${ratePerSamplerWithRebalances.toFixed(1)} to make up for rebalances: with pods that live 12 hours, one comes or goes every 21.6 s, and all
  stand still for 2 s. In the simulation samplers of 114 keep up, and of 107 do not. One thread makes ${count(rates['policy-sampler'])} a second of the small model, ${(rates['policy-sampler'] / ratePerSamplerWithRebalances).toFixed(1)} times as many: a model may take so much longer.
- **Checkpoints.** A policy of 540 MB (135 million weights) that 1,000 samplers load takes 54 s from a store of 10 GB/s, and 4.3 s at the 1 Gbit/s
  of a pod if the store could. A \`store_cache\` shared by the pods of a node divides it by the pods of a node.

What breaks first, in this order:

1. **Learning.** A learner of one thread takes in ${count(learnerRate)} rollouts a second: ${count(learners)} learners for all that is sampled. 100,000 a second are for reference rollouts and evaluation, or for
   thousands of runs; one run does not get faster by samplers.
2. **Rebalances.** The pause grows with the share of time that groups stand still: at pods of an hour, one every 1.8 s, a group of 1,000 hardly works. Several groups of 100 samplers,
   by a \`stream.prefix\` of their own, stand still a tenth as often.
3. **Checkpoints**, where a policy is new every minute and is loaded for 54 s.
4. **Partitions that are no multiple of replicas**, as above.
`;
}
