// The fault that each alert is for, and what its runbook says against it, for services that run.
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connected, client } from '../kafka/clients.fixture.mjs';
import { serverCertificate } from '../kafka/certificates.mjs';
import { recordsOf, until } from '../services/real-run.mjs';
import { runbookCommands } from './runbook.mjs';

/**
 * @typedef {object} Rehearsal
 * @property {string} fault
 * @property {Readonly<Record<string, RegExp>>} alerts those that are to fire, with what the first command of their runbook
 *   shows, if it has any
 * @property {readonly string[]} [besides] other alerts that may fire, as this fault is one of theirs too
 * @property {(scene: Scene) => Promise<void>} inject
 * @property {(scene: Scene) => Promise<void>} remedy what the runbooks say
 */

/**
 * @typedef {object} Scene
 * @property {import('./watched-services.mjs').WatchedServices} services
 * @property {import('@infalign/rollout-stream').RolloutStream} stream
 * @property {(name: string, changes?: Record<string, Record<string, unknown>>) => Promise<void>} startExperiment has the
 *   services begin an experiment: its references and, where it changes `ppo`, its policy
 * @property {Record<string, { references: string, policy: string }>} runs the ids of those, by the experiment's name
 * @property {Record<string, unknown>} kept from the fault to its remedy
 */

/** Does something again and again. @returns ends that */
function repeatedly(everyMs, action) {
  let goes = true;
  const ended = (async () => {
    while (goes) {
      await action();
      await sleep(everyMs);
    }
  })();
  // What goes wrong is told at the end.
  ended.catch(() => undefined);
  return async () => {
    goes = false;
    await ended;
  };
}

/** Has a policy be trained in small steps for as long as anybody looks, unless one is. */
async function trainSteadily({ runs, startExperiment }) {
  if (!runs.steady) await startExperiment('steady', { ppo: { iterations: 50_000, learning_rate: 1e-6, epochs: 20 } });
}

/** The command of a runbook's part "Do" that begins so. */
function toDo(runbook, start) {
  const command = runbookCommands(runbook).act.find((each) => each.startsWith(`${start} `));
  if (command === undefined) throw new Error(`docs/runbooks/${runbook}.md: has no command ${start}`);
  return command;
}

/** @type {readonly Rehearsal[]} */
export const rehearsals = [
  {
    fault: 'a policy is trained with a learning rate a million times too high',
    alerts: { InfalignKlRunningAway: /runaway.*running/ },
    async inject({ startExperiment }) {
      await startExperiment('runaway', { ppo: { iterations: 5000, learning_rate: 100 } });
    },
    async remedy(scene) {
      const { services, runs } = scene;
      const command = toDo('kl-running-away', 'grpcurl')
        .replace('RUN', runs.runaway.policy)
        .replace('ADDRESS', services.process('ppo-learner').address);
      const { status, output } = await services.run(command);
      if (status !== 0) throw new Error(`${command}: ${output}`);
      // With smaller steps, under another name.
      await trainSteadily(scene);
    },
  },
  {
    fault: 'the only policy-sampler is ended',
    alerts: {
      InfalignLearnerStarved: /policy-sampler +[1-9]\d* of sampling\.requests/,
      InfalignNoNewPolicyVersion: /policy-sampler +[1-9]\d* of sampling\.requests/,
    },
    async inject(scene) {
      const { services } = scene;
      await trainSteadily(scene);
      const sampler = services.process('policy-sampler');
      services.dismiss(sampler);
      await sampler.stop();
    },
    async remedy({ services }) {
      await services.start(toDo('learner-starved', 'policy-sampler'));
    },
  },
  {
    fault: 'the reward-scorer is killed',
    alerts: { InfalignServiceDown: /reward-scorer +\d+ of rollout\.sampled/ },
    async inject({ services, kept }) {
      kept.scorer = services.process('reward-scorer');
      await kept.scorer.kill();
    },
    async remedy({ services, kept }) {
      // It comes back where it was: the same target.
      services.dismiss(kept.scorer);
      await services.start(toDo('service-down', 'reward-scorer'));
    },
  },
  {
    fault: 'the evaluator ends again and again',
    alerts: { InfalignServiceRestarting: /Records that wait/ },
    besides: ['InfalignServiceDown'],
    async inject({ services, kept }) {
      kept.end = repeatedly(0, async () => {
        const evaluator = services.process('evaluator');
        await evaluator.kill();
        services.dismiss(evaluator);
        await services.start(toDo('certificate-expiring', 'evaluator'));
        // Long enough to be scraped.
        await sleep(4500);
      });
    },
    // Whatever ended it, does so no more.
    remedy: ({ kept }) => kept.end(),
  },
  {
    fault: 'something that is no service writes to rollout.sampled',
    alerts: { InfalignDeadLetters: /"topic":"rollout.sampled"/ },
    async inject({ services, kept }) {
      const kafka = client([services.five.brokers]);
      kept.end = repeatedly(1000, () =>
        connected(kafka.producer(), (producer) =>
          producer.send({ topic: 'rollout.sampled', messages: [{ value: 'no protobuf at all', partition: 0 }] }),
        ),
      );
    },
    remedy: ({ kept }) => kept.end(),
  },
  {
    fault: 'more sampling is asked for than one policy-sampler gets through',
    alerts: { InfalignLagGrowing: /policy-sampler +[1-9]\d* of sampling\.requests/ },
    besides: ['InfalignLearnerStarved', 'InfalignNoNewPolicyVersion'],
    async inject(scene) {
      const { services, stream, runs, kept } = scene;
      await trainSteadily(scene);
      const { outgoing, topics } = await import('@infalign/rollout-stream');
      let example;
      await until(async () => {
        const requests = await recordsOf(stream, topics.samplingRequests);
        // The first policy is kept as long as its run.
        example = requests.find(({ value }) => value.runId === runs.steady.policy && value.policyVersion === 0);
        return example !== undefined;
      }, 60);
      let [asked, seconds] = [0, 0];
      kept.end = repeatedly(1000, async () => {
        const [lag] = await services.prometheus.query('sum(infalign_consumer_lag{infalign_stage="policy-sampler"})');
        // However fast the sampler is, 150 more a second wait.
        const missing = Math.max(0, 150 * ++seconds - (lag?.value ?? 0));
        const requests = Array.from({ length: missing }, () => {
          const id = `extra-${asked++}`;
          const own = { requestId: id, batchId: id, batchRequests: 1, samples: 16, firstSampleIndex: 16 * asked };
          return outgoing(topics.samplingRequests, { ...example.value, ...own });
        });
        if (requests.length > 0) await stream.append(requests);
      });
    },
    async remedy({ services, kept }) {
      await kept.end();
      await services.start(toDo('lag-growing', 'policy-sampler'));
    },
  },
  {
    fault: 'the reward model gives the reference policy other rewards than before, and others each time',
    alerts: {
      InfalignCalibrationDrifting: /"drift"/,
      InfalignCalibrationWrong: /"drift"/,
    },
    async inject(scene) {
      scene.kept.rounds = await referenceRounds(scene);
      let shift = 0;
      scene.kept.end = repeatedly(1000, () => scene.kept.rounds(++shift * 100));
    },
    async remedy({ kept }) {
      await kept.end();
      // Those of before are there again, and stay.
      for (let round = 0; round < 10; round++) await kept.rounds(0);
    },
  },
  {
    fault: 'a certificate ends in ten days',
    alerts: { InfalignCertificateExpiring: undefined },
    async inject(scene) {
      const { configFile } = scene.services.five;
      const folder = dirname(configFile);
      const { certificate, key } = serverCertificate(folder, 'calls', 10);
      const settings = JSON.parse(readFileSync(configFile, 'utf8'));
      const tls = { certificate_file: certificate, key_file: key };
      writeFileSync(configFile, JSON.stringify({ ...settings, rpc: { ...settings.rpc, tls } }));
      await restartEvaluator(scene);
    },
    async remedy(scene) {
      const { five, prometheus } = scene.services;
      serverCertificate(dirname(five.configFile), 'calls', 90);
      // Not before it is restarted: it still uses the old one.
      await sleep(5000);
      const alerts = await prometheus.alerts();
      if (!alerts.some(({ name }) => name === 'InfalignCertificateExpiring')) {
        throw new Error('the alert is over, and the evaluator still uses the certificate that ends');
      }
      await restartEvaluator(scene);
    },
  },
];

async function restartEvaluator({ services }) {
  const evaluator = services.process('evaluator');
  services.dismiss(evaluator);
  await evaluator.stop();
  await services.start(toDo('certificate-expiring', 'evaluator'));
}

/** @returns puts a further round of reference rollouts into the stream, whose rewards are shifted by so much */
async function referenceRounds({ stream, runs, startExperiment }) {
  const { Purpose } = await import('@infalign/contracts');
  const { outgoing, topics } = await import('@infalign/rollout-stream');
  await startExperiment('drifting');
  const { references } = runs.drifting;
  const scored = async () =>
    (await recordsOf(stream, topics.rolloutScored))
      .map(({ value }) => value)
      .filter(({ rollout }) => rollout.runId === references && rollout.purpose === Purpose.PURPOSE_REFERENCE);
  const wanted = 12 * 16;
  if (!(await until(async () => (await scored()).length >= wanted, 60))) throw new Error('references are not sampled');
  const examples = await scored();
  return async (shift) => {
    const round = randomUUID();
    await stream.append(
      examples.map(({ rollout, reward, ...rest }) =>
        outgoing(topics.rolloutScored, {
          ...rest,
          rollout: { ...rollout, rolloutId: `${rollout.rolloutId}-${round}`, batchId: `${rollout.batchId}-${round}` },
          reward: { ...reward, reward: reward.reward + shift },
        }),
      ),
    );
  };
}
