import { setTimeout as sleep } from 'node:timers/promises';
import { InputError } from '@infalign/core';
import { learningRun, type PipelineRun } from '@infalign/pipeline';
import { partitionOf, serveWorker, topics, TransactionFailed, WriterFenced } from '@infalign/rollout-stream';
import type { ServiceParts } from './service-parts.js';

/** How often the runs are looked through for those to begin and to end. */
const lookMs = 300;
/** How long a run rests whose learner cannot go on. */
const restMs = 10_000;

/** A run that is learned here. */
interface Learning {
  /** The rollback that it goes on from, by its version; 0 where there has been none. */
  readonly rollback: number;
  readonly end: () => void;
  readonly ended: Promise<void>;
}

/**
 * Learns all runs that are this process's own, until the signal is aborted: those in the partitions of `runs` that it has
 * in its group, so that several learners share the runs, and those of one that is gone go to the others.
 */
export async function serveLearning(parts: ServiceParts, signal: AbortSignal): Promise<void> {
  const { stream, runs } = parts;
  const member = await stream.join('ppo-learner', topics.runs);
  const learning = new Map<string, Learning>();
  /** Runs of which nothing more is learned: a finished one is not rolled back. */
  const finished = new Set<string>();
  /** The latest version of each run that is due, and since when it is known here: also of runs that cannot be learned. */
  const latest = new Map<string, { readonly version: number; readonly since: number }>();
  const endTelling = parts.telemetry.observe('infalign.policy.age', () =>
    [...latest].map(([runId, { since }]) => ({
      value: (performance.now() - since) / 1000,
      attributes: { 'infalign.run.id': runId },
    })),
  );
  const failed = new AbortController();
  let failure: { readonly error: unknown } | undefined;
  try {
    while (!signal.aborted && !failure) {
      const assigned = member.assigned();
      const due = new Map<string, { readonly run: PipelineRun; readonly rollback: number }>();
      for (const run of await runs.all()) {
        const { record, policyRun, experiment } = run;
        if (!policyRun || record.stopped || finished.has(record.runId)) continue;
        if (!assigned.includes(partitionOf(topics.runs, record, stream.partitions))) continue;
        const versions = await runs.versions(record.runId);
        if ((versions.at(-1)?.iteration ?? 0) >= experiment.ppo.iterations) {
          finished.add(record.runId);
          continue;
        }
        const rollback = versions.findLast(({ rolledBackTo }) => rolledBackTo > 0)?.version ?? 0;
        due.set(record.runId, { run, rollback });
        const version = versions.at(-1)?.version ?? 0;
        if (latest.get(record.runId)?.version !== version)
          latest.set(record.runId, { version, since: performance.now() });
      }
      for (const runId of latest.keys()) if (!due.has(runId)) latest.delete(runId);
      // One that waits for rollouts does not notice that it has been fenced off by a rollback.
      for (const [runId, { rollback, end }] of learning) if (due.get(runId)?.rollback !== rollback) end();
      for (const [runId, { run, rollback }] of due) {
        if (learning.has(runId)) continue;
        const controller = new AbortController();
        const ended = learn(run, parts, AbortSignal.any([signal, failed.signal, controller.signal]))
          .catch((error: unknown) => {
            failure ??= { error };
            failed.abort();
          })
          .finally(() => learning.delete(runId));
        learning.set(runId, { rollback, ended, end: () => controller.abort() });
      }
      await sleep(lookMs, undefined, { signal: AbortSignal.any([signal, failed.signal]) }).catch(() => undefined);
    }
    for (const { end } of learning.values()) end();
    await Promise.all([...learning.values()].map(({ ended }) => ended));
  } finally {
    endTelling();
    await member.leave();
  }
  if (failure) throw failure.error;
}

/** Learns a run from the version announced last on, as often as that takes: what fails is begun anew from there. */
async function learn(run: PipelineRun, parts: ServiceParts, signal: AbortSignal): Promise<void> {
  const { logger } = parts;
  const { runId } = run.record;
  try {
    const learner = await learningRun(run, {
      ...parts,
      keptVersions: parts.services.keptVersions,
      onIteration: ({ iteration, kl, meanCalibratedReward, staleness, dropped }) =>
        logger.info({ runId, iteration, kl, meanCalibratedReward, staleness, dropped }, 'iteration learned'),
    });
    logger.info({ runId, iteration: learner.history().length }, 'learning');
    await serveWorker(learner, { signal });
  } catch (error) {
    if (error instanceof TransactionFailed)
      logger.warn({ runId }, 'a transaction failed; going on from what is announced');
    else if (error instanceof WriterFenced) logger.info({ runId }, 'another learner has taken over the run');
    else if (error instanceof InputError) {
      logger.error({ runId, err: error }, 'the run cannot go on');
      await sleep(restMs, undefined, { signal }).catch(() => undefined);
    } else throw error;
  }
}
