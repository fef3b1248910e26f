// `npm run test:telemetry`: what the services tell, as a real collector receives it.
//
// A broker, the five services as processes and an OpenTelemetry collector are started; an experiment is carried out with
// every trace kept. One trace must follow a prompt through all five services, and every metric of the catalogue must
// arrive, at the collector and at Prometheus's endpoint. With --overhead, what telemetry costs is measured as well.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { certificates } from '../kafka/certificates.mjs';
import { logEnd, startFiveServices } from '../services/five-services.mjs';
import { carryOut } from '../services/real-run.mjs';
import { storeTinyCheckpoints } from '../services/tiny-experiment.mjs';
import { buildWorkspace } from '../workspace/install.mjs';
import { wholeNumber } from '../workspace/options.mjs';
import { script } from '../workspace/workspace.mjs';
import { startCollector } from './collector.mjs';
import { measureOverhead } from './overhead.mjs';
import { followedTrace, metricProblems, receivedMetrics, receivedSpans } from './received.mjs';

const help = `Usage: npm run test:telemetry -- [OPTIONS]

Checks what the five services tell a collector and Prometheus. Needs Java 17, Go and, the first time, Maven.

  --overhead         measure what telemetry costs as well: fails above 2 % of processor time
  --rounds N         rounds of the measurement, each with and without telemetry (default: 20)
  --json             write what was found as one JSON object
  --keep             leave logs and data in place
  -h, --help         show this
`;

const checkpoints = 'tiny';
const partitions = 2;
/** What telemetry may cost, as a share of processor time. */
const allowed = 0.02;

// What was started ends with this process, however it ends.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

await script(async () => {
  const { values } = parseArgs({
    options: {
      overhead: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '20' },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const rounds = wholeNumber('rounds', values.rounds, 1);
  buildWorkspace();
  const folder = mkdtempSync(join(tmpdir(), 'infalign-telemetry-'));
  const collector = await startCollector(folder);
  try {
    const told = await check(collector, folder, values.keep);
    const overhead = values.overhead ? await measureOverhead({ collector, rounds, tell }) : undefined;
    process.stdout.write(values.json ? `${JSON.stringify({ ...told, overhead })}\n` : text(told, overhead));
    return told.problems.length === 0 && !(overhead?.processor > 1 + allowed) ? 0 : 1;
  } finally {
    await collector.stop();
    if (values.keep) tell(`what the collector received: ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
});

/** Carries out an experiment, and looks at what arrives. */
async function check(collector, folder, keep) {
  const { openKafkaStream } = await import('@infalign/rollout-stream');
  const { metrics, prometheusName } = await import('@infalign/telemetry');
  const { files } = certificates(join(folder, 'certificates'));
  const settings = {
    rpc: { tls: { certificate_file: files.clientCert, key_file: files.clientKey } },
    telemetry: { otlp: { endpoint: collector.endpoint, interval_seconds: 1, trace_share: 1 }, prometheus: {} },
  };
  const world = await startFiveServices({ partitions, settings });
  const problems = [];
  try {
    await storeTinyCheckpoints(join(world.store, checkpoints));
    const stream = await openKafkaStream({ brokers: [world.brokers], clientId: 'telemetry', partitions });
    try {
      tell('carrying out an experiment');
      const changes = { ppo: { iterations: 30, prompts_per_iteration: 6, rollouts_per_prompt: 2 } };
      const tls = { caFile: files.ca };
      const options = { name: 'told', checkpoints, seconds: 240, changes, tls, heldOut: true };
      await callOthers(world.services, tls, await carryOut(world, stream, options));
    } finally {
      await stream.close();
    }
    // What is sent every second has been sent.
    await sleep(2500);
    for (const [name, { services }] of Object.entries(metrics)) {
      if (name === 'infalign.policy.age') continue;
      for (const service of services) {
        world.services[service].scraped ??= await (await fetch(world.services[service].metricsUrl)).text();
        if (!world.services[service].scraped.includes(`# TYPE ${prometheusName(name)} `)) {
          problems.push(`Prometheus is not told ${prometheusName(name)} by the ${service}`);
        }
      }
    }
  } finally {
    await world.stop();
    if (problems.length > 0) {
      for (const { name, logFile } of Object.values(world.services))
        process.stderr.write(`--- ${name}\n${logEnd(logFile, 5)}\n`);
    }
    if (keep) tell(`logs and data: ${join(world.configFile, '..')}`);
    else world.remove();
  }
  // The last spans are sent as the services end.
  await sleep(1000);
  const spans = receivedSpans(collector.spans());
  const trace = followedTrace(spans);
  if ('problem' in trace) problems.push(trace.problem);
  problems.push(...metricProblems(receivedMetrics(collector.metrics()), metrics));
  return {
    problems,
    spans: spans.length,
    traces: new Set(spans.map(({ traceId }) => traceId)).size,
    metrics: Object.keys(metrics).length,
    ...('spans' in trace && { trace: trace.spans.map(({ service, name }) => `${service}: ${name}`) }),
  };
}

/** Calls the services that carrying out an experiment does not call. */
async function callOthers(services, tls, { references, policy }) {
  const contracts = await import('@infalign/contracts');
  const { createRpcClient } = await import('@infalign/rpc');
  const call = async (service, definition, make) => {
    const client = createRpcClient(definition, { address: services[service].address, tls });
    await make(client);
    client.close();
  };
  await call('policy-sampler', contracts.PolicySamplerServiceService, (client) =>
    client.listPolicyVersions({ runId: policy }),
  );
  await call('reward-scorer', contracts.RewardScorerServiceService, (client) => client.listRewardModels({}));
  await call('calibrator', contracts.CalibratorServiceService, (client) =>
    client.getCalibration({ runId: references, promptId: 'train-0' }),
  );
}

function text({ problems, spans, traces, metrics, trace }, overhead) {
  const lines = [`${spans} spans of ${traces} traces, and ${metrics} metrics are documented`];
  if (trace) lines.push(`one trace passes all five services:`, ...trace.map((step) => `  ${step}`));
  lines.push(...problems.map((problem) => `PROBLEM: ${problem}`));
  if (overhead) {
    lines.push(
      `telemetry costs ${percent(overhead.processor)} of processor time (95 % interval ${overhead.interval.map(percent).join(' to ')}), ` +
        `over ${overhead.rounds} rounds of ${overhead.rollouts} rollouts`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function percent(ratio) {
  return `${((ratio - 1) * 100).toFixed(1)} %`;
}

function tell(line) {
  process.stderr.write(`telemetry: ${line}\n`);
}
