import type {
  LearningStatistics,
  PolicyVersion,
  PpoLearnerServiceService,
  RunState,
  StartRunRequest,
} from '@infalign/contracts';
import { InputError } from '@infalign/core';
import { RpcError, type RpcHandlers } from '@infalign/rpc';

/** What the learner's calls need. */
export interface LearningServiceOptions {
  /**
   * Starts a run, or goes on with it.
   *
   * @throws InputError if the request is not one that can be carried out
   */
  start(request: StartRunRequest): Promise<void>;
  /** Stops a run that is known. */
  stop(runId: string): Promise<void>;
  /**
   * Makes an earlier policy version of a run that is known the latest.
   *
   * @returns the version that is that one again
   * @throws InputError if there is nothing to go back to
   */
  rollBack(runId: string, version: number): Promise<PolicyVersion>;
  /** The state of a run; nothing if it is not known. */
  state(runId: string): Promise<RunState | undefined>;
  /** The statistics of all iterations of a run so far, and of further ones as they end, until the run has ended. */
  statistics(runId: string, signal: AbortSignal): AsyncIterable<LearningStatistics>;
}

/** The PPO learner's calls. */
export function learningService(options: LearningServiceOptions): RpcHandlers<typeof PpoLearnerServiceService> {
  async function known(runId: string): Promise<RunState> {
    if (runId === '') throw new InputError('run_id: empty');
    const state = await options.state(runId);
    if (state) return state;
    throw new RpcError('NOT_FOUND', 'RUN_UNKNOWN', `run ${JSON.stringify(runId)} is not known`, {
      remedy: 'start the run, or check its id',
      metadata: { runId },
    });
  }
  return {
    async startRun(request) {
      if (request.experiment === '' || request.step === '') {
        throw new InputError('experiment and step: both are needed');
      }
      await options.start(request);
      return { state: await known(request.runId) };
    },
    async stopRun({ runId }) {
      await known(runId);
      await options.stop(runId);
      return { state: { ...(await known(runId)), running: false } };
    },
    async rollBack({ runId, version }) {
      await known(runId);
      try {
        const announced = await options.rollBack(runId, version);
        return { version: announced, state: await known(runId) };
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        throw new RpcError('FAILED_PRECONDITION', 'NOTHING_TO_ROLL_BACK_TO', error.message, { cause: error });
      }
    },
    getRun: async ({ runId }) => ({ state: await known(runId) }),
    async *watchRun({ runId }, { signal }) {
      await known(runId);
      for await (const statistics of options.statistics(runId, signal)) yield { statistics };
    },
  };
}
