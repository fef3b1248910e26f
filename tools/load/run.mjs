// `npm run test:load`: many calls to each service, and whether its memory stays what it was.
//
// A broker and the five services are started with tiny models, and carry out a small experiment, so that there is a run to
// ask about. Then one service after another is called, many times at once, and their resident memory is compared before and
// after. A service that keeps something of every call grows with their number; one that does not still grows until V8's
// heap and the pools have the size that this concurrency needs, which warming up is for.
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { carryOut } from '../services/real-run.mjs';
import { logEnd, serviceNames, startFiveServices } from '../services/five-services.mjs';
import { storeTinyCheckpoints } from '../services/tiny-experiment.mjs';
import { buildWorkspace } from '../workspace/install.mjs';
import { wholeNumber } from '../workspace/options.mjs';
import { script } from '../workspace/workspace.mjs';
import { cheapCalls } from './cheap-calls.mjs';

const help = `Usage: npm run test:load -- [OPTIONS]

Calls each of the five services many times. Fails if a call fails, or if the resident memory of a service is another one
afterwards, by more than 10 %. Needs Java 17 and, the first time, Maven.

  --calls N          calls over all five services together, the same number for each (default: 10000)
  --each             N calls for each of the five
  --concurrency N    calls at a time (default: 64)
  --warm-up N        calls to each service before its memory is looked at first, and for 10 seconds at least: compiled
                     code, pools and heap must have grown to what this concurrency needs (default: 4000)
  --json             write what was found as one JSON object
  --keep             leave logs and data in place
  -h, --help         show this
`;

const checkpoints = 'tiny';
const partitions = 3;
/** Each service is warmed up for so long at least: those that answer quickly have made little garbage after a few calls. */
const warmUpMs = 10_000;
/** How long services are left alone before their memory is looked at: V8 tidies up when little has happened for some time. */
const settleMs = 20_000;
/** The share by which resident memory may be another one. */
const tolerance = 0.1;
/** Errors that are shown. */
const shownErrors = 5;

// What was started ends with this process, however it ends.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

await script(async () => {
  const { values } = parseArgs({
    options: {
      calls: { type: 'string', default: '10000' },
      each: { type: 'boolean', default: false },
      concurrency: { type: 'string', default: '64' },
      'warm-up': { type: 'string', default: '4000' },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const calls = wholeNumber('calls', values.calls, serviceNames.length);
  const options = {
    callsEach: values.each ? calls : Math.ceil(calls / serviceNames.length),
    concurrency: wholeNumber('concurrency', values.concurrency, 1),
    warmUp: wholeNumber('warm-up', values['warm-up'], 0),
  };
  buildWorkspace();
  // As many calls as are made at a time are taken, and not more.
  const settings = { log_level: 'warn', rpc: { max_running_calls: options.concurrency } };
  const world = await startFiveServices({ partitions, settings });
  try {
    const result = await load(world, options);
    process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : told(result));
    const failed = result.services.filter(({ errors, ratio }) => errors > 0 || Math.abs(ratio - 1) > tolerance);
    for (const { service } of failed) {
      process.stderr.write(`--- ${service}\n${logEnd(world.services[service].logFile, 12)}\n`);
    }
    return failed.length === 0 ? 0 : 1;
  } finally {
    await world.stop();
    if (values.keep) tell(`logs and data: ${join(world.configFile, '..')}`);
    else world.remove();
  }
});

async function load(world, { callsEach, concurrency, warmUp }) {
  const { openKafkaStream } = await import('@infalign/rollout-stream');
  await storeTinyCheckpoints(join(world.store, checkpoints));
  const stream = await openKafkaStream({ brokers: [world.brokers], clientId: 'load', partitions });
  try {
    tell('carrying out an experiment, to have a run to ask about');
    const run = await carryOut(world, stream, { name: 'load', checkpoints, seconds: 240 });
    const { callOf, close } = await cheapCalls(world.services, stream, run);
    const found = [];
    try {
      let warmUpCalls = 0;
      for (const service of serviceNames) {
        const end = performance.now() + warmUpMs;
        const warm = (index) => index >= warmUp && performance.now() >= end;
        warmUpCalls += (await callMany(service, callOf[service], warm)).calls;
      }
      const before = await settledBytes();
      for (const service of serviceNames) {
        found.push(await callMany(service, callOf[service], (index) => index >= callsEach));
      }
      const after = await settledBytes();
      return summary(found, { concurrency, warmUpCalls, before, after });
    } finally {
      close();
    }
  } finally {
    await stream.close();
  }

  /** Calls a service until `enough` calls have been begun. */
  async function callMany(service, call, enough) {
    const start = performance.now();
    let [calls, errors] = [0, 0];
    const work = async () => {
      while (!enough(calls)) {
        try {
          await call(calls++);
        } catch (error) {
          if (errors++ < shownErrors) tell(`${service}: ${error instanceof Error ? error.message : error}`);
        }
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    const seconds = (performance.now() - start) / 1000;
    tell(`${service}: ${calls} calls in ${rounded(seconds, 1)} s, ${errors} errors`);
    return { service, calls, errors, seconds };
  }

  async function settledBytes() {
    await sleep(settleMs);
    return Object.fromEntries(serviceNames.map((service) => [service, world.services[service].residentBytes()]));
  }
}

function summary(found, { concurrency, warmUpCalls, before, after }) {
  const sum = (name) => found.reduce((total, each) => total + each[name], 0);
  return {
    calls: sum('calls'),
    concurrency,
    warm_up_calls: warmUpCalls,
    errors: sum('errors'),
    seconds: rounded(sum('seconds'), 1),
    services: found.map(({ service, calls, errors }) => ({
      service,
      calls,
      errors,
      rss_before_mib: rounded(before[service] / 2 ** 20, 1),
      rss_after_mib: rounded(after[service] / 2 ** 20, 1),
      ratio: rounded(after[service] / before[service], 3),
    })),
  };
}

function rounded(value, digits) {
  return Number(value.toFixed(digits));
}

function told({ calls, concurrency, warm_up_calls: warmUp, errors, seconds, services }) {
  const lines = [
    `${calls} calls, ${concurrency} at a time, in ${seconds} s, after ${warmUp} to warm up: ${errors} errors`,
    ...services.map(
      ({ service, calls: own, rss_before_mib: before, rss_after_mib: after, ratio }) =>
        `${service}: ${own} calls, ${before} MiB before, ${after} MiB after: ${ratio}`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function tell(text) {
  process.stderr.write(`load: ${text}\n`);
}
