// `npm run test:fuzz`: random and mutated bytes on every topic and every method of the services.
//
// A broker and the five services are started, and carry out a small experiment, from which valid records and requests are
// taken. What is then written and called is random, or valid and changed, or well formed and absurd. In the end nothing has
// crashed or hangs, every record that could not be used is a dead letter, and another experiment can be carried out.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { parseArgs } from 'node:util';
import { messagesOfTopics } from '../contracts/messages-of-topics.mjs';
import { buildWorkspace } from '../workspace/install.mjs';
import { wholeNumber } from '../workspace/options.mjs';
import { script } from '../workspace/workspace.mjs';
import { absurdRuns, caller, methodsOf } from './calls.mjs';
import { logEnd, startFiveServices } from '../services/five-services.mjs';
import { carryOut, until, validRecords } from '../services/real-run.mjs';
import { storeTinyCheckpoints } from '../services/tiny-experiment.mjs';
import { accounted, consumers, topicWriter } from './topics.mjs';

const help = `Usage: npm run test:fuzz -- [OPTIONS]

Writes random and mutated bytes to every topic, and calls every method of the services with them. Fails if anything
crashes, hangs or is not accounted for. Needs Java 17 and, the first time, Maven.

  --inputs N         records and requests together (default: 100000)
  --seed S           of the random numbers (default: 1); equal seeds make equal inputs
  --drain SECONDS    how long the services may take with what is left when all is written (default: 900)
  --json             write what was found as one JSON object
  --keep             leave logs and data in place
  -h, --help         show this
`;

/** Two in five inputs are calls; so many at a time. */
const callShare = 0.4;
const callsAtOnce = 32;
const checkpoints = 'tiny';
const partitions = 6;
/** More memory than a service can have need of with models of this size. */
const mostResidentBytes = 1.5 * 2 ** 30;

// What was started ends with this process, however it ends.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

await script(async () => {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '100000' },
      seed: { type: 'string', default: '1' },
      drain: { type: 'string', default: '900' },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const options = {
    inputs: wholeNumber('inputs', values.inputs, 0),
    seed: wholeNumber('seed', values.seed, 0),
    drainSeconds: wholeNumber('drain', values.drain, 0),
  };
  buildWorkspace();
  const world = await startFiveServices({ partitions, settings: { log_level: 'warn' } });
  try {
    const result = await fuzz(world, options);
    process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : told(result));
    if (result.failures.length > 0) for (const service of Object.values(world.services)) tellLog(service);
    return result.failures.length === 0 ? 0 : 1;
  } finally {
    await world.stop();
    if (values.keep) tell(`logs and data: ${join(world.configFile, '..')}`);
    else world.remove();
  }
});

async function fuzz(world, { inputs, seed, drainSeconds }) {
  const { seededRandom } = await import('@infalign/core');
  const contracts = await import('@infalign/contracts');
  const { allTopics, deadLetterTopic, isDeadLetterTopic, openKafkaStream } = await import('@infalign/rollout-stream');
  const start = performance.now();
  const failures = [];
  const topics = allTopics();
  await storeTinyCheckpoints(join(world.store, checkpoints));
  const stream = await openKafkaStream({ brokers: [world.brokers], clientId: 'fuzz', partitions });
  try {
    tell('carrying out an experiment, to have valid inputs');
    const run = await carryOut(world, stream, { name: 'before', checkpoints, seconds: 240 });
    const seeds = await validRecords(stream);
    const methods = await methodsOf(seeds, run, { checkpoints });
    const before = residentBytes(world);

    const writer = await topicWriter({
      brokers: world.brokers,
      topics,
      seeds,
      types: Object.fromEntries(
        topics.map((topic) => [
          topic.name,
          isDeadLetterTopic(topic) ? contracts.DeadLetter : messageOf(contracts, topic),
        ]),
      ),
      reserved: new Set([run.references, run.policy]),
      partitions,
    });
    const calls = caller(world.services, methods);
    const runs = await absurdRuns(partitions, checkpoints);
    const wanted = { calls: Math.round(inputs * callShare), records: inputs - Math.round(inputs * callShare) };
    const done = { calls: 0, records: 0 };
    const progress = setInterval(() => {
      tell(`${done.records} records, ${done.calls} calls; ${megabytes(residentBytes(world))}`);
    }, 10_000);
    try {
      const calling = inParallel(wanted.calls, callsAtOnce, async (index) => {
        const random = seededRandom('call', seed, index);
        // Each once, spread over all.
        const every = Math.max(1, Math.floor(wanted.calls / (runs.length + 1)));
        const absurdRun = index % every === every - 1 ? runs[Math.floor(index / every)] : undefined;
        await (absurdRun ? calls.start(absurdRun.bytes) : calls.call(random));
        done.calls++;
      });
      const writing = (async () => {
        for (; done.records < wanted.records; done.records++) {
          await writer.write(seededRandom('record', seed, done.records));
        }
        await writer.flush();
      })();
      await Promise.all([calling, writing]);
    } finally {
      clearInterval(progress);
    }
    failures.push(...calls.failures);
    const crashed = () => Object.values(world.services).filter((service) => service.ended() !== undefined);
    let drained = { seconds: 0, counts: {} };
    if (crashed().length === 0) {
      tell('all is written: waiting until the services have read it');
      await stopRuns(world, runs);
      drained = await drain(world, stream, writer, drainSeconds, failures);
    }
    const after = residentBytes(world);
    for (const { name, ended } of crashed()) failures.push(`${name} has ended: ${ended()}`);
    for (const [name, bytes] of Object.entries(after)) {
      if (bytes > mostResidentBytes) failures.push(`${name} has ${Math.round(bytes / 2 ** 20)} MiB in memory`);
    }
    if (crashed().length === 0) {
      const { counts, failures: unaccounted } = await accounted(stream, topics, writer.inputs, deadLetterTopic);
      drained.counts = counts;
      failures.push(...unaccounted.slice(0, 20));
      if (unaccounted.length > 20) failures.push(`and ${unaccounted.length - 20} more records are not accounted for`);
      failures.push(...(await notServing(world)));
      tell('carrying out another experiment');
      await carryOut(world, stream, { name: 'after', checkpoints, seconds: 240 }).catch((error) => {
        failures.push(`another experiment: ${error.message}`);
      });
      for (const { name, ended } of crashed()) failures.push(`${name} has ended since: ${ended()}`);
    }
    await writer.close();
    calls.close();
    return {
      inputs: done.records + done.calls,
      seed,
      seconds: Math.round((performance.now() - start) / 1000),
      drainSeconds: drained.seconds,
      topics: drained.counts,
      calls: Object.fromEntries(Object.entries(calls.counts).sort(([a], [b]) => (a < b ? -1 : 1))),
      residentBytes: { before, after },
      failures,
    };
  } finally {
    await stream.close();
  }

  function messageOf(types, topic) {
    const { decode, encode } = types[messagesOfTopics[topic.name]];
    return { decode, encode: (message) => encode(message).finish() };
  }
}

/**
 * Waits until every group has read its topic to the end. A batch whose rest is missing waits for what comes after it: where
 * nothing goes on any more, a record of another batch is written.
 */
async function drain(world, stream, writer, seconds, failures) {
  const { topics } = await import('@infalign/rollout-stream');
  const byName = Object.fromEntries(Object.values(topics).map((topic) => [topic.name, topic]));
  const start = performance.now();
  let last = { lag: undefined, since: start };
  let closers = 0;
  let waiting = [];
  const isDrained = await until(
    async () => {
      waiting = await waitingRecords(stream, byName);
      const lag = JSON.stringify(waiting);
      if (lag !== last.lag) last = { lag, since: performance.now() };
      if (Object.values(world.services).some((service) => service.ended() !== undefined)) return true;
      const still = performance.now() - last.since > 15_000;
      if (still && waiting.length > 0 && closers < 10) {
        closers++;
        last.since = performance.now();
        for (const { topic, partition } of waiting) await close(writer, byName[topic], partition, closers);
      }
      return waiting.length === 0;
    },
    seconds,
    2000,
  );
  if (!isDrained) {
    for (const { group, topic, partition, from, records } of waiting) {
      failures.push(
        `${group} does not go on in ${topic}, partition ${partition}, offset ${from}: ${records} records wait`,
      );
    }
  }
  return { seconds: Math.round((performance.now() - start) / 1000), counts: {} };
}

/** Partitions that a group has not read to the last record. */
async function waitingRecords(stream, byName) {
  const found = await Promise.all(
    consumers.map(async ({ group, topic }) => {
      const from = await stream.committed(group, byName[topic]);
      const ends = await stream.endOffsets(byName[topic]);
      // Ends of transactions have offsets as well, and are nothing to read.
      if (ends.every((end, partition) => end - from[partition] <= 0)) return [];
      const counts = from.map(() => 0);
      const reader = await stream.follow(byName[topic], from);
      try {
        const isRead = await reader.markEnd();
        while (!isRead()) {
          const records = await reader.read(1000);
          for (const { partition } of records) counts[partition]++;
          if (records.length === 0) await reader.changed(200);
        }
      } finally {
        await reader.close();
      }
      return counts.flatMap((records, partition) =>
        records > 0 ? [{ group, topic, partition, from: from[partition], records }] : [],
      );
    }),
  );
  return found.flat();
}

/** A record of an unknown run, in a batch of its own. */
async function close(writer, topic, partition, count) {
  const samples = writer.inputs.get(topic.name).filter(({ kind }) => kind === 'decodable');
  const value = topic.codec.decode(topic.codec.encode(samples[0].value));
  const batch = { runId: `closing-${count}`, batchId: `closing-${count}`, purpose: 2 };
  if (topic.name === 'sampling.requests') Object.assign(value, batch, { batchRequests: 1 });
  if (topic.name === 'rollout.sampled') Object.assign(value, batch, { batchRollouts: 1 });
  if (topic.name === 'rollout.scored') Object.assign(value.rollout, batch, { batchRollouts: 1 });
  if (topic.name === 'policy.versions') value.runId = batch.runId;
  await writer.add(topic, partition, value);
}

/** Runs that will never come to an end are stopped: what they ask for is not waited for. */
async function stopRuns(world, runs) {
  const { PpoLearnerServiceService } = await import('@infalign/contracts');
  const { createRpcClient } = await import('@infalign/rpc');
  const learner = createRpcClient(PpoLearnerServiceService, { address: world.services['ppo-learner'].address });
  for (const { runId } of runs) {
    // One that was refused is not known.
    await learner.stopRun({ runId }).catch(() => undefined);
  }
  learner.close();
}

async function notServing(world) {
  const { Client, credentials, Metadata } = await import('@grpc/grpc-js');
  const same = (bytes) => bytes;
  const found = await Promise.all(
    Object.values(world.services).map(async ({ name, address }) => {
      const client = new Client(address, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 });
      const call = ['/grpc.health.v1.Health/Check', same, same, Buffer.alloc(0), new Metadata()];
      const answer = await new Promise((resolve) => {
        client.makeUnaryRequest(...call, { deadline: Date.now() + 10_000 }, (error, bytes) => resolve(error ?? bytes));
      });
      client.close();
      // SERVING: field 1 is 1.
      if (Buffer.isBuffer(answer) && answer.equals(Buffer.from([8, 1]))) return [];
      return [`${name}: health says ${answer instanceof Error ? answer.message : answer.toString('hex')}`];
    }),
  );
  return found.flat();
}

async function inParallel(count, atOnce, action) {
  let next = 0;
  const work = async () => {
    while (next < count) await action(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

function residentBytes({ services }) {
  return Object.fromEntries(Object.values(services).map((service) => [service.name, service.residentBytes()]));
}

function megabytes(bytes) {
  return Object.entries(bytes)
    .map(([name, count]) => `${name} ${Math.round(count / 2 ** 20)} MiB`)
    .join(', ');
}

function told({ inputs, seed, seconds, drainSeconds, topics, calls, residentBytes: resident, failures }) {
  const lines = [`${inputs} inputs, seed ${seed}, in ${seconds} s; read to the end ${drainSeconds} s after the last`];
  for (const [name, count] of Object.entries(topics)) {
    const rest = count.accepted === undefined ? '' : `, ${count.accepted} accepted, ${count.deadLetters} dead letters`;
    lines.push(`${name}: ${count.inputs} records, ${count.undecodable} undecodable${rest}`);
  }
  for (const [name, { inputs: count, codes }] of Object.entries(calls)) {
    lines.push(
      `${name}: ${count} calls: ${Object.entries(codes)
        .map(([code, times]) => `${code} ${times}`)
        .join(', ')}`,
    );
  }
  lines.push(`in memory before: ${megabytes(resident.before)}`, `in memory after: ${megabytes(resident.after)}`);
  lines.push(failures.length === 0 ? 'no failures' : `${failures.length} failures:`, ...failures);
  return `${lines.join('\n')}\n`;
}

function tell(text) {
  process.stderr.write(`fuzz: ${text}\n`);
}

function tellLog({ name, logFile }) {
  if (readFileSync(logFile).length > 0) process.stderr.write(`--- ${name}\n${logEnd(logFile, 12)}\n`);
}
