import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gather } from '../chaos/chaos.mjs';
import { program } from '../chaos/kept-running.mjs';
import { resultsOf, undisturbedPolicy } from '../chaos/undisturbed.mjs';
import { judge } from '../chaos/verdict.mjs';
import { root } from '../workspace/workspace.mjs';
import { logger, startClusterOfServices } from './cluster-of-services.mjs';
import { runOnServices } from './run-under-way.mjs';

/**
 * Iterations of the experiment: so many that everything falls into its learning. One takes a third of a second, replacing a service
 * some ten seconds, and it is heard of iterations seconds after they were learned.
 */
export const iterations = 180;

/**
 * @typedef {object} Scene
 * @property {string} folder for all that is written
 * @property {string} experiment file
 * @property {Awaited<ReturnType<typeof import('../chaos/undisturbed.mjs').runUndisturbed>>} undisturbed
 * @property {{ folder: string }} released the last release, built
 * @property {(text: string) => void} tell
 */

/** @type {Record<string, (scene: Scene) => Promise<object>>} what is tested, by name; each gives its counts */
export const scenarios = { upgrade, outage, restore };

/**
 * A rolling upgrade: services of the last release are replaced by those that are here, one process after another, the learner
 * first, while a run goes on. The learner is put back to the last release once, and replaced again.
 */
async function upgrade({ folder, experiment, undisturbed, released, tell }) {
  tell('the undisturbed run of the last release');
  const policyOfReleased = await undisturbedPolicy(experiment, join(folder, 'undisturbed-released'), released.folder);
  const sameNumbers = policyOfReleased === undisturbed.policy;
  const world = await startClusterOfServices({
    folder: join(folder, 'upgrade'),
    brokerFolder: join(folder, 'upgrade-kafka'),
    store: join(folder, 'upgrade-store'),
    checkout: released.folder,
    tell,
  });
  try {
    const out = join(folder, 'upgrade-out');
    const run = runOnServices({ experiment, out, servicesFile: world.file, undisturbed, tell });
    let withOldSamplers = 0;
    const replaceAfter = async (name, checkout, learned) => {
      const from = run.iteration();
      await run.learned(from + learned);
      await world.processes.replace(name, checkout);
      tell(`${name} is of the ${checkout === root ? 'new' : 'old'} version, after iteration ${run.iteration()}`);
      return run.iteration();
    };
    const first = await replaceAfter('ppo-learner-1', root, 2);
    withOldSamplers += (await replaceAfter('ppo-learner-1', released.folder, 3)) - first;
    const again = await replaceAfter('ppo-learner-1', root, 2);
    const others = [
      'evaluator-1',
      'calibrator-1',
      'reward-scorer-1',
      'reward-scorer-2',
      'policy-sampler-1',
      'policy-sampler-2',
    ];
    let last = again;
    for (const name of others) {
      if (name === 'policy-sampler-1') withOldSamplers += last - again;
      last = await replaceAfter(name, root, 1);
    }
    await run.finished;
    await world.processes.stop();
    const { policy, ...evidence } = await gather(world.services, logger, undisturbed);
    const counts = judge({ ...evidence, undisturbed: undisturbed.contents, finished: true, sameNumbers });
    return {
      ...counts,
      same_numbers: sameNumbers,
      replaced: others.length + 3,
      upgraded_after: last,
      old_samplers_new_learner: withOldSamplers,
      ended_by_themselves: world.processes.endedByThemselves,
      not_ended: world.processes.notEnded,
      same_policy: policy !== undefined && policy === undisturbed.policy,
      same_results: resultsOf(out) === undisturbed.results,
    };
  } finally {
    await world.stop();
  }
}

/** Everything ends at once by SIGKILL, and all but the topics and the checkpoint store is lost. */
async function outage({ folder, experiment, undisturbed, tell }) {
  const brokerFolder = join(folder, 'outage-kafka');
  const store = join(folder, 'outage-store');
  const before = join(folder, 'outage-before');
  await untilKilled({ folder: before, brokerFolder, store, experiment, undisturbed, tell }, (run) => run.learned(7));
  rmSync(before, { recursive: true });
  const world = await startClusterOfServices({ folder: join(folder, 'outage-after'), brokerFolder, store, tell });
  try {
    const out = join(folder, 'outage-out');
    await runOnServices({ experiment, out, servicesFile: world.file, undisturbed, tell }).finished;
    await world.processes.stop();
    const { policy, ...evidence } = await gather(world.services, logger, undisturbed);
    const counts = judge({ ...evidence, undisturbed: undisturbed.contents, finished: true });
    return {
      ...counts,
      not_ended: world.processes.notEnded,
      same_policy: policy !== undefined && policy === undisturbed.policy,
      same_results: resultsOf(out) === undisturbed.results,
    };
  } finally {
    await world.stop();
  }
}

/** The topics are lost as well: what is left is the checkpoint store, and a backup from some iterations before. */
async function restore({ folder, experiment, undisturbed, tell }) {
  const brokerFolder = join(folder, 'restore-kafka');
  const store = join(folder, 'restore-store');
  const before = join(folder, 'restore-before');
  const backup = join(folder, 'backup.jsonl');
  let backedUp = 0;
  await untilKilled({ folder: before, brokerFolder, store, experiment, undisturbed, tell }, async (run, file) => {
    await run.learned(7);
    infalign('backup', '--out', backup, '--services', file);
    backedUp = run.iteration();
    await run.learned(backedUp + 3);
  });
  for (const path of [before, brokerFolder]) rmSync(path, { recursive: true });
  const world = await startClusterOfServices({ folder: join(folder, 'restore-after'), brokerFolder, store, tell });
  try {
    const { runs } = JSON.parse(infalign('restore', '--from', backup, '--services', world.file, '--json'));
    const from = Math.max(...runs.map(({ iteration }) => iteration));
    tell(`restored after iteration ${from}`);
    const out = join(folder, 'restore-out');
    await runOnServices({ experiment, out, servicesFile: world.file, undisturbed, tell }).finished;
    await world.processes.stop();
    const { policy, found, learned } = await gather(world.services, logger, undisturbed);
    const counts = judge({
      found,
      // What was learned before is not in the topics any more.
      learned: learned.filter(({ iteration }) => iteration > from),
      undisturbed: undisturbed.contents,
      finished: false,
    });
    return {
      ...counts,
      restored_after: from,
      not_ended: world.processes.notEnded,
      same_policy: policy !== undefined && policy === undisturbed.policy,
      same_results: resultsOf(out) === undisturbed.results,
    };
  } finally {
    await world.stop();
  }
}

/** Runs the experiment until something has happened, and kills everything. */
async function untilKilled({ folder, experiment, undisturbed, tell, ...places }, something) {
  const world = await startClusterOfServices({ folder, ...places, tell });
  try {
    const out = join(folder, 'out');
    const run = runOnServices({ experiment, out, servicesFile: world.file, undisturbed, tell });
    await something(run, world.file);
    tell(`everything is killed, after iteration ${run.iteration()}`);
    await Promise.all([run.kill(), world.killAll()]);
    await sleep(0);
  } catch (error) {
    await world.stop();
    throw error;
  }
}

function infalign(...args) {
  return execFileSync(process.execPath, [program('infalign'), ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 2],
  });
}
