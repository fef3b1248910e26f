// `npm run test:alerts`: each alert fires on the fault it is for, injected into running services, and its runbook ends it.
//
// A broker, the five services and Prometheus are started. Of each fault: it is injected; the alerts that are for it fire, and no
// others; the commands of their runbooks show what they say; what they say is done; and the alerts are over.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { logEnd } from '../services/five-services.mjs';
import { experimentText, storeTinyCheckpoints } from '../services/tiny-experiment.mjs';
import { buildWorkspace } from '../workspace/install.mjs';
import { script } from '../workspace/workspace.mjs';
import { rehearsals } from './faults.mjs';
import { runbookCommands } from './runbook.mjs';
import { startWatchedServices } from './watched-services.mjs';

const help = `Usage: npm run test:alerts -- [OPTIONS]

Injects into running services the fault that each alert is for, and does what its runbook says. Needs Java 17, Go and, the first
time, Maven.

  --scale N    the alerts wait N times less than where they are in use (default: 40)
  --only TEXT  only faults with this text in their names; can be given several times
  -h, --help   show this
`;

const partitions = 2;
const checkpoints = 'tiny';
/** How long an alert may take to fire, and to be over: the longest wait of any of them is an hour and some minutes. */
const patienceSeconds = (scale) => 240 + (2 * 3600) / scale;

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

await script(async () => {
  const { values } = parseArgs({
    options: {
      scale: { type: 'string', default: '40' },
      only: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const { only } = values;
  const scale = Number(values.scale);
  if (!(scale >= 1)) throw new Error('--scale must be a number of at least 1');
  buildWorkspace('libs/monitoring');
  const { alerts, runbookName } = await import('@infalign/monitoring');
  const { openKafkaStream } = await import('@infalign/rollout-stream');
  const services = await startWatchedServices({ partitions, timeScale: 1 / scale });
  const stream = await openKafkaStream({ brokers: [services.five.brokers], clientId: 'rehearsal', partitions });
  const scene = { services, stream, runs: {}, kept: {} };
  scene.startExperiment = (name, changes) => startExperiment(scene, name, changes);
  const rehearsed = new Set();
  try {
    await storeTinyCheckpoints(join(services.five.store, checkpoints));
    await healthy(services);
    for (const rehearsal of rehearsals.filter(
      ({ fault }) => only.length === 0 || only.some((text) => fault.includes(text)),
    )) {
      await rehearse(rehearsal, scene, { patience: patienceSeconds(scale), runbookName });
      for (const name of Object.keys(rehearsal.alerts)) rehearsed.add(name);
    }
    const missing = alerts.filter(({ name }) => !rehearsed.has(name));
    if (only.length === 0 && missing.length > 0) {
      throw new Error(`no fault is injected for ${missing.map(({ name }) => name).join(', ')}`);
    }
  } catch (error) {
    for (const { name, state, annotations } of await services.prometheus.alerts()) {
      tell(`${state}: ${name}: ${annotations.summary}`);
    }
    for (const { service, health, lastError } of await services.prometheus.targets()) {
      tell(`${service} is ${health}${lastError === '' ? '' : `: ${lastError}`}`);
    }
    for (const process of Object.values(services.five.services)) {
      tell(`the end of ${process.logFile}:\n${logEnd(process.logFile, 5)}`);
    }
    throw error;
  } finally {
    await stream.close();
    await services.stop();
  }
  process.stdout.write(
    `${rehearsed.size} of ${alerts.length} alerts fired on their faults, and their runbooks ended them\n`,
  );
});

/** Until Prometheus has read the metrics of every service. */
async function healthy({ prometheus }) {
  await within(60, 'Prometheus reads the metrics of the services', async () => {
    const targets = await prometheus.targets();
    return targets.length === 5 && targets.every(({ health }) => health === 'up');
  });
}

async function rehearse({ fault, alerts, besides = [], inject, remedy }, scene, { patience, runbookName }) {
  const { services } = scene;
  const names = Object.keys(alerts);
  const watch = watchAlerts(services.prometheus);
  try {
    const start = performance.now();
    tell(`${fault} …`);
    await inject(scene);
    const fired = await within(patience, `${names.join(' and ')} to fire`, async () => {
      const firing = (await services.prometheus.alerts()).filter(({ state }) => state === 'firing');
      const own = names.map((name) => firing.find((alert) => alert.name === name));
      return own.every(Boolean) && own;
    });
    const firedAt = performance.now();
    for (const { name, annotations } of fired) {
      tell(`  ${name} after ${((firedAt - start) / 1000).toFixed(1)} s: ${annotations.summary}`);
      await look(runbookName({ name }), alerts[name], services);
    }
    const remedied = performance.now();
    await remedy(scene);
    await within(patience, `${names.join(' and ')} to be over`, async () => {
      const active = (await services.prometheus.alerts()).filter(({ state }) => state === 'firing');
      return !active.some(({ name }) => [...names, ...besides].includes(name));
    });
    tell(
      `  over ${seconds(remedied)} after its runbook was begun (${((remedied - firedAt) / 1000).toFixed(1)} s were looking)`,
    );
  } finally {
    await watch.end();
  }
  const others = [...watch.seen].filter(([name]) => !names.includes(name) && !besides.includes(name));
  const told = others.map(([name, summary]) => `${name} (${summary})`).join(', ');
  // On a scale, it fires where a process has no processor for some seconds.
  if (others.some(([name]) => name !== 'InfalignServiceDown')) throw new Error(`others fired as well: ${told}`);
  if (others.length > 0) tell(`  this machine is too slow for the scale: ${told}`);
}

/** Runs the commands with which a runbook looks for what is wrong. */
async function look(page, expected, services) {
  const { look: commands } = runbookCommands(page);
  const outputs = [];
  for (const command of commands) {
    const { output } = await services.run(command);
    outputs.push(output);
  }
  if (expected !== undefined && !outputs.some((output) => expected.test(output))) {
    throw new Error(`docs/runbooks/${page}.md: its commands show nothing like ${expected}:\n${outputs.join('\n')}`);
  }
}

/** Sees which alerts fire meanwhile: by name, what the first said. */
function watchAlerts(prometheus) {
  const seen = new Map();
  let goes = true;
  const ended = (async () => {
    while (goes) {
      for (const { name, state, annotations } of await prometheus.alerts()) {
        if (state === 'firing' && !seen.has(name)) seen.set(name, annotations.summary);
      }
      await sleep(500);
    }
  })();
  return {
    seen,
    async end() {
      goes = false;
      await ended;
    },
  };
}

/** Has the services begin an experiment: its references and, where it says how policies learn, its policy. */
async function startExperiment({ services, runs }, name, changes = {}) {
  const { PpoLearnerServiceService } = await import('@infalign/contracts');
  const { policyRuns, runIdOf, stepNames } = await import('@infalign/pipeline');
  const { parseExperiment } = await import('@infalign/run-config');
  const { createRpcClient } = await import('@infalign/rpc');
  const experiment = experimentText(name, partitions, { calibration: { references: 16, window: 16 }, ...changes });
  const parsed = parseExperiment(experiment, name);
  const { address } = services.process('ppo-learner');
  const learner = createRpcClient(PpoLearnerServiceService, { address, deadlineMs: 60_000 });
  try {
    const steps = { references: stepNames.trainingReferences, policy: policyRuns(parsed)[0].name };
    runs[name] = { references: runIdOf(parsed, steps.references), policy: runIdOf(parsed, steps.policy) };
    for (const part of changes.ppo ? ['references', 'policy'] : ['references']) {
      await learner.startRun({ runId: runs[name][part], experiment, step: steps[part], checkpoints });
    }
  } finally {
    learner.close();
  }
}

/** Waits for something. @returns what the condition gives, when it is not false @throws Error when it takes too long */
async function within(limitSeconds, what, condition) {
  for (const end = performance.now() + limitSeconds * 1000; performance.now() < end; await sleep(250)) {
    const result = await condition();
    if (result) return result;
  }
  throw new Error(`waited ${Math.round(limitSeconds)} s for ${what}`);
}

function seconds(start) {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

function tell(text) {
  process.stderr.write(`${text}\n`);
}
