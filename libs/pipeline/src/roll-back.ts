import type { PolicyVersion } from '@infalign/contracts';
import type { CheckpointStore } from '@infalign/checkpoint';
import { InputError, algorithms, parseMethod } from '@infalign/core';
import { outgoing, topics, WriterFenced, type RolloutStream } from '@infalign/rollout-stream';
import { learnerName } from '@infalign/stage-learning';
import { publishAgain, readLearner } from './learner-checkpoint.js';
import type { PipelineRun } from './pipeline-run.js';
import { nextTrainingRequests } from './run-requests.js';
import type { Runs } from './runs.js';
import { untilCommitted } from './until-committed.js';

/** What a rollback needs. */
export interface RollBackOptions {
  readonly stream: RolloutStream;
  readonly store: CheckpointStore;
  readonly runs: Runs;
}

/**
 * Makes an earlier policy version of a run the latest. In one transaction, announces a new version with its weights and the
 * state of its learner, and dispatches the requests for the iterations after it: they are learned anew, from rollouts of the
 * new version. Whoever learns the run is fenced off and goes on from there; rollouts that were under way for what has been
 * undone are dropped.
 *
 * @returns the latest version: the new one; or the one that is there, if it is that version, or its rollback, already
 * @throws InputError if the run is finished, trains no policy or learns from rollouts of the base policy alone; or the version
 *   has not been announced, or its checkpoint has been deleted
 */
export async function rollBack(run: PipelineRun, version: number, options: RollBackOptions): Promise<PolicyVersion> {
  const { stream, store, runs } = options;
  const { runId } = run.record;
  checkRun(run);
  const prompts = await runs.prompts(run);
  try {
    return await untilCommitted(attempt);
  } catch (error) {
    if (!(error instanceof WriterFenced)) throw error;
    throw new InputError(
      `Run ${runId} announces versions faster than one can be rolled back. Stop it, roll it back, and start it again.`,
      { cause: error },
    );
  }

  async function attempt(): Promise<PolicyVersion> {
    const latest = await latestOf(run, runs);
    const target = (await runs.versions(runId)).find((each) => each.version === version);
    if (!target || version === 0) {
      throw new InputError(
        `Run ${runId} has no version ${version} to go back to: it has announced 1 to ${latest.version}, and version 0 is its ` +
          'base policy, with which a run of another name begins.',
      );
    }
    if (latest.version === version || latest.rolledBackTo === version) return latest;
    if (!(await store.has(target.checkpoint))) {
      throw new InputError(
        `The checkpoint of version ${version} of run ${runId} is not kept any more. Go back to a later one; kept_versions in ` +
          'the services file says how many are kept.',
      );
    }
    const stored = await readLearner(store, target);
    // What was asked for before comes before the new version's rollouts, and is of no use any more.
    const end = await stream.endOffsets(topics.rolloutCalibrated);
    const origin = { version: latest.version + 1, iteration: target.iteration };
    const published = await publishAgain(run, store, { from: target, as: origin.version }, stored, {
      positions: { from: end, counted: end },
      origin,
    });
    const announced: PolicyVersion = {
      ...target,
      ...published,
      version: origin.version,
      final: false,
      rolledBackTo: version,
    };
    const requests = nextTrainingRequests(run, prompts, target.iteration, stream.partitions, origin);
    // All that takes long comes before: a learner that is fenced off begins anew, and fences off whoever is about to append.
    const writer = await stream.writer(learnerName(runId));
    try {
      if ((await latestOf(run, runs)).version !== latest.version) {
        throw new WriterFenced(`Run ${runId} has announced another version meanwhile.`);
      }
      await writer.append([
        outgoing(topics.policyVersions, announced),
        ...requests.map((request) => outgoing(topics.samplingRequests, request)),
      ]);
      return announced;
    } finally {
      await writer.close();
    }
  }
}

/** @throws InputError if it is not one that can be rolled back */
function checkRun({ record, policyRun }: PipelineRun): void {
  const { runId } = record;
  if (!policyRun) throw new InputError(`Run ${runId} trains no policy: there is nothing to go back to.`);
  if (algorithms[parseMethod(policyRun.method).algorithm].learnsFrom === 'policy') return;
  throw new InputError(
    `Run ${runId} learns by ${policyRun.method} from rollouts of the base policy alone: going on from an earlier version would ` +
      'come to the same again. Change the experiment, and give it another name.',
  );
}

/** @throws InputError if the run is over */
async function latestOf({ record: { runId }, experiment }: PipelineRun, runs: Runs): Promise<PolicyVersion> {
  const latest = await runs.latestVersion(runId);
  if (latest && latest.iteration < experiment.ppo.iterations) return latest;
  throw new InputError(
    `Run ${runId} is finished, with version ${latest?.version ?? 0} as its result: nothing is learned after it. An experiment ` +
      'of another name begins anew; each version that is kept can be evaluated as it is.',
  );
}
