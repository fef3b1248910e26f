import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EvaluationResult, EvaluatorServiceService } from '@infalign/contracts';
import { frontierCurve, InputError, parseProcedure } from '@infalign/core';
import { RpcError, type RpcHandlers } from '@infalign/rpc';

/** What the evaluator's calls need. */
export interface EvaluationServiceOptions {
  /**
   * Has a policy version measured, as far as it has not been, and gives the results, prompt by prompt as they are there.
   *
   * @throws InputError if the run is unknown, trains no policy, or has not announced that version
   */
  readonly evaluate: (runId: string, policyVersion: number, signal: AbortSignal) => AsyncIterable<EvaluationResult>;
}

/** Points of a frontier that a call may ask for: each takes milliseconds. */
const mostPoints = 1000;

/** The evaluator's calls. */
export function evaluationService({ evaluate }: EvaluationServiceOptions): RpcHandlers<typeof EvaluatorServiceService> {
  return {
    async *evaluate({ runId, policyVersion }, { signal }) {
      if (runId === '') throw new InputError('run_id: empty');
      try {
        for await (const result of evaluate(runId, policyVersion, signal)) yield { result };
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        throw new RpcError('FAILED_PRECONDITION', 'POLICY_VERSION_UNKNOWN', error.message, {
          remedy: "ask for a version that the policy-sampler's ListPolicyVersions gives",
          cause: error,
        });
      }
    },
    async *streamFrontier({ procedure, kls }, { signal }) {
      const parsed = parseProcedure(procedure);
      if (kls.length === 0 || kls.length > mostPoints) {
        throw new InputError(`kls: ${kls.length} points; ask for 1 to ${mostPoints}`);
      }
      const refused = kls.find((kl) => !(Number.isFinite(kl) && kl >= 0));
      if (refused !== undefined) throw new InputError(`kls: ${refused} is not a KL in nats, of at least 0`);
      for (const kl of [...kls].sort((a, b) => a - b)) {
        yield { kl, winRate: frontierCurve(parsed, [kl])[0]!.winRate };
        // Computing does not pause: a cancellation is seen here.
        await nextTurn();
        signal.throwIfAborted();
      }
    },
  };
}
