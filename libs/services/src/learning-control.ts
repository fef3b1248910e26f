import { setTimeout as sleep } from 'node:timers/promises';
import type { RunState } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import { learningHistory, rollBack, runIdOf, startRun, untilCommitted, type PipelineRun } from '@infalign/pipeline';
import { experimentHash, parseExperiment } from '@infalign/run-config';
import { outgoing, topics } from '@infalign/rollout-stream';
import { RpcError } from '@infalign/rpc';
import type { LearningServiceOptions } from '@infalign/stage-learning';
import type { ServiceParts } from './service-parts.js';

/** How often a run that is watched is looked at. */
const lookMs = 300;

/**
 * Starts, stops and inspects runs: what the learner's calls do. Any learner can do it for all runs.
 *
 * @param ending ends what follows a run
 */
export function learningControl({ stream, store, runs }: ServiceParts, ending: AbortSignal): LearningServiceOptions {
  async function known(runId: string): Promise<PipelineRun | undefined> {
    try {
      return await runs.run(runId);
    } catch (error) {
      // One that cannot be carried out is none.
      if (error instanceof InputError) return undefined;
      throw error;
    }
  }

  async function state(runId: string): Promise<RunState | undefined> {
    const run = await known(runId);
    if (!run) return undefined;
    const iterations = run.policyRun ? run.experiment.ppo.iterations : 0;
    // Every run announces a version as it is started: where there is none yet, it is on its way.
    const latest = (await runs.versions(runId)).at(-1) ?? (await runs.latestVersion(runId));
    const running = !run.record.stopped && (latest?.iteration ?? 0) < iterations;
    return { runId, latest, iterations, running };
  }

  async function setStopped(runId: string, stopped: boolean): Promise<void> {
    const { record } = (await known(runId))!;
    if (record.stopped === stopped) return;
    await untilCommitted(() => stream.append([outgoing(topics.runs, { ...record, stopped })]));
  }

  return {
    async start({ runId, experiment: text, step, checkpoints }) {
      const experiment = parseExperiment(text, 'experiment');
      const ownId = runIdOf(experiment, step);
      if (runId !== ownId) {
        throw new InputError(
          `run_id: ${JSON.stringify(runId)} is not the id of step ${step} of this experiment, which is ${JSON.stringify(ownId)}`,
        );
      }
      const before = await known(runId);
      if (before && experimentHash(before.experiment) !== experimentHash(experiment)) {
        throw new RpcError('ALREADY_EXISTS', 'RUN_DIFFERS', `run ${runId} has another experiment`, {
          remedy: 'give the experiment another name',
        });
      }
      if (before) await setStopped(runId, false);
      else await startRun(stream, store, { experiment, step, checkpoints });
      // Whoever started it asks for it next: until it can be seen here.
      await runs.run(runId);
    },
    stop: (runId) => setStopped(runId, true),
    rollBack: async (runId, version) => rollBack((await known(runId))!, version, { stream, store, runs }),
    state,
    async *statistics(runId, callSignal) {
      const signal = AbortSignal.any([callSignal, ending]);
      const run = (await known(runId))!;
      for (let [told, version] = [0, 0]; ;) {
        const current = (await state(runId))!;
        const { latest } = current;
        if (latest && latest.version > version) {
          // What a rollback has undone is told again when it is learned again.
          const since = (await runs.versions(runId)).filter((each) => each.version > version && each.rolledBackTo > 0);
          told = Math.min(told, ...since.map(({ iteration }) => iteration));
          const history = await learningHistory(store, run, latest);
          for (const statistics of history.slice(told)) yield statistics;
          told = latest.iteration;
          version = latest.version;
        } else if (!current.running) return;
        signal.throwIfAborted();
        await sleep(lookMs, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}
