/* global AbortController */
import { connect } from 'node:net';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { experimentId, learningHistory, pipelineRun, runIdOf } from '@infalign/pipeline';
import { topics } from '@infalign/rollout-stream';
import { asCarriedOut, loadServices } from '@infalign/run-config';
import { openStore, openStream, streamOverview } from '@infalign/services';
import { createLogger } from '@infalign/telemetry';
import { startCluster } from '../kafka/index.mjs';
import { freePorts } from '../kafka/ports.mjs';
import { startRun } from './command-line.mjs';
import { disturb } from './disturbances.mjs';
import { keepServicesRunning } from './kept-running.mjs';
import { plants } from './plants.mjs';
import { runProgress } from './run-progress.mjs';
import { experimentFile, iterationsFor, replication, serviceTitles, servicesFile } from './settings.mjs';
import { streamContents } from './stream-contents.mjs';
import { policyHash, resultsOf, runUndisturbed } from './undisturbed.mjs';
import { judge } from './verdict.mjs';

/** How much of the run is over when a bug is planted in it. */
const plantAt = 0.4;
/** How long services may take to start. */
const startSeconds = 120;
/** There is a line of progress so often at most. */
const progressLineMilliseconds = 3000;

/**
 * Runs one experiment undisturbed and once more on services while they and their brokers are killed, and compares.
 *
 * @param {object} options
 * @param {string} options.folder for all that is written
 * @param {string} options.undisturbedFolder for the undisturbed run, which may be there already
 * @param {number} options.seed
 * @param {number} options.kills
 * @param {'double' | 'lose' | undefined} options.plant a bug to be found
 * @param {number} options.patienceSeconds how long the run may make no progress
 * @param {number} options.limitSeconds how long the run may take
 * @param {(text: string) => void} options.tell
 */
export async function chaos({ folder, undisturbedFolder, seed, kills, plant, patienceSeconds, limitSeconds, tell }) {
  const experiment = join(folder, 'experiment.yaml');
  writeFileSync(experiment, experimentFile(iterationsFor(kills)));
  tell('the undisturbed run');
  const undisturbed = await runUndisturbed(experiment, undisturbedFolder);

  tell('three brokers and five services');
  const cluster = await startCluster({
    folder: join(folder, 'kafka'),
    nodes: replication,
    proxied: true,
    // A broker that was away leads partitions again soon, so that there is something to take from it.
    properties: { 'leader.imbalance.check.interval.seconds': 5 },
  });
  try {
    const logs = join(folder, 'services');
    const store = join(folder, 'store');
    for (const path of [logs, store]) mkdirSync(path);
    const numbers = await freePorts(serviceTitles.length);
    const ports = Object.fromEntries(serviceTitles.map((title, index) => [title, numbers[index]]));
    const file = join(folder, 'services.yaml');
    writeFileSync(file, servicesFile({ brokers: cluster.brokers.proxied, store, ports }));
    const loaded = await loadServices(file);
    const past = { ...loaded, stream: { ...loaded.stream, brokers: cluster.brokers.plaintext } };
    const logger = createLogger({ service: 'chaos', level: 'error' });
    const services = keepServicesRunning({ folder: logs, servicesFile: file, tell });
    try {
      await Promise.all(Object.values(ports).map(listening));
      const out = join(folder, 'disturbed');
      mkdirSync(out);
      undisturbed.leaveBeginnings(out);
      tell('the disturbed run');
      const options = { seed, kills, plant, patienceSeconds, limitSeconds, tell };
      const run = await runDisturbed({
        commandArguments: [experiment, '--out', out, '--resume', '--on', 'services', '--services', file],
        cluster,
        services,
        past,
        logger,
        ...options,
      });
      tell('ending the services');
      await services.stop();
      tell('counting');
      const { policy, ...evidence } = await gather(past, logger, undisturbed);
      const { findings, ...counts } = judge({ ...evidence, undisturbed: undisturbed.contents, finished: run.finished });
      for (const finding of [...run.findings, ...findings]) tell(`wrong: ${finding}`);
      return {
        ...counts,
        kills: run.victims.length,
        same_policy: policy !== undefined && policy === undisturbed.policy,
        same_results: resultsOf(out) === undisturbed.results,
        finished: run.finished,
        killed: countedNames(run.victims),
        ended_by_themselves: services.endedByThemselves,
        not_ended: services.notEnded,
        seconds: Math.round(run.seconds),
      };
    } finally {
      await services.stop();
    }
  } finally {
    await cluster.stop();
  }
}

/** @returns what has happened; a run that fails or hangs is a finding, not an error */
async function runDisturbed(options) {
  const { commandArguments, cluster, services, past, logger, seed, kills, plant, tell } = options;
  const start = performance.now();
  const progress = runProgress();
  const over = new AbortController();
  let toldAt = -Infinity;
  const tellProgress = (text) => {
    if (performance.now() - toldAt < progressLineMilliseconds) return;
    toldAt = performance.now();
    tell(text);
  };
  const onEvent = (event) => {
    if (progress.onEvent(event)) tellProgress(progress.latest());
  };
  const run = startRun(commandArguments, { onEvent });
  const endWithThisProcess = () => run.stop();
  process.once('exit', endWithThisProcess);
  const disturbances = disturb({
    ...{ seed, kills, cluster, services, tell },
    progress: progress.fraction,
    signal: over.signal,
    onDisturbed: progress.excuse,
  });
  const planted = plant && plantBug(plant, past, logger, progress, over.signal, tell);
  const failures = [];
  try {
    await Promise.race([
      run.finished,
      // Neither ends before the run does, unless it fails.
      disturbances.ended.then(() => run.finished),
      ...(planted ? [planted.then(() => run.finished)] : []),
      stuck(progress, options, over.signal),
    ]);
  } catch (error) {
    failures.push(error.message);
  }
  const seconds = (performance.now() - start) / 1000;
  over.abort();
  const finished = failures.length === 0;
  const ends = await Promise.allSettled([disturbances.ended, planted]);
  failures.push(
    ...ends.flatMap(({ reason }) => (reason && !failures.includes(reason.message) ? [reason.message] : [])),
  );
  if (!finished) {
    failures.push(await lag(past, logger));
    run.stop();
    await run.finished.catch(() => undefined);
  }
  process.off('exit', endWithThisProcess);
  const { victims } = disturbances;
  if (finished && victims.length < kills) failures.push(`the run was over after ${victims.length} of ${kills} kills`);
  return { finished, victims, seconds, findings: failures };
}

/** @throws Error when the run makes no progress any more, or takes too long */
async function stuck(progress, { patienceSeconds, limitSeconds }, signal) {
  const deadline = performance.now() + limitSeconds * 1000;
  while (!signal.aborted) {
    const where = `the last that was heard of it: ${progress.latest()}`;
    if (progress.idleMilliseconds() > patienceSeconds * 1000) {
      throw new Error(`the run has made no progress for ${patienceSeconds} s; ${where}`);
    }
    if (performance.now() > deadline) throw new Error(`the run has not ended after ${limitSeconds} s; ${where}`);
    await sleep(200, undefined, { signal }).catch(() => undefined);
  }
}

async function plantBug(plant, services, logger, progress, signal, tell) {
  while (!signal.aborted && progress.fraction() < plantAt) await sleep(50);
  if (signal.aborted) return;
  const stream = await openStream('saboteur', services, logger);
  try {
    tell(`planted: ${await plants[plant](stream)}`);
  } finally {
    await stream.close();
  }
}

/** Which group has how much before it. */
async function lag(services, logger) {
  const overview = await streamOverview(services, logger).catch((error) => ({ lag: [], runs: [], error }));
  if (overview.error) return `the stream cannot be looked at: ${overview.error.message}`;
  const waiting = overview.lag.map(({ group, topic, records }) => `${group} ${records} of ${topic}`);
  const runs = overview.runs.map(({ runId, iteration, iterations, state }) =>
    iterations > 0 ? `${runId} ${state}, iteration ${iteration} of ${iterations}` : `${runId} ${state}`,
  );
  return `not consumed, transaction markers counted as well: ${waiting.join(', ')}; runs: ${runs.join(', ')}`;
}

/**
 * What the stream and the store say when all is over.
 *
 * @param {import('@infalign/run-config').Services} services
 * @param {import('@infalign/telemetry').Logger} logger
 * @param {{ experiment: import('@infalign/run-config').Experiment, step: string }} undisturbed
 */
export async function gather(services, logger, { experiment, step }) {
  const stream = await openStream('chaos', services, logger);
  const store = openStore(services);
  try {
    const found = await streamContents(stream);
    const carriedOut = asCarriedOut(experiment);
    const runId = runIdOf(carriedOut, step);
    const record = (await stream.table(topics.runs)).get(runId);
    const versions = found.versions.get(runId) ?? [];
    const latest = versions.toSorted((a, b) => a.version - b.version).at(-1);
    const history = record ? await learningHistory(store, pipelineRun(record), latest) : [];
    const learned = history.map((statistics) => ({
      ...statistics,
      announced: versions.filter(({ version }) => version === statistics.iteration).length,
    }));
    const policy = await policyHash(store, `${experimentId(carriedOut)}/${step}`, experiment);
    return { found, learned, policy };
  } finally {
    await stream.close();
    await store.close();
  }
}

/** Waits until something listens on a port. @param {number} port */
export async function listening(port) {
  for (const deadline = performance.now() + startSeconds * 1000; ; await sleep(200)) {
    const isThere = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('close', () => resolve(false)).unref();
      socket.once('connect', () => socket.destroy());
    });
    if (isThere) return;
    if (performance.now() > deadline) throw new Error(`nothing listens on port ${port} after ${startSeconds} s`);
  }
}

/** @param {readonly string[]} victims @returns {Record<string, number>} how often each was one */
function countedNames(victims) {
  const counts = {};
  for (const name of victims.toSorted()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
