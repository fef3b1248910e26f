import type { CalibratedRollout, LearningStatistics } from '@infalign/contracts';
import { topics } from '@infalign/rollout-stream';
import { activeSpan, isSampled, withinSpan, type Telemetry, type TraceSpan } from '@infalign/telemetry';

/** Tells of one run's learning. */
export interface LearningTelemetry {
  /**
   * Does what an iteration consists of, now that its rollouts are there: within a span of the first trace that a rollout came
   * with, which the spans of the others are linked to.
   *
   * @param traces the W3C trace contexts that the rollouts came with, each once
   */
  iteration<T>(traces: readonly string[], work: () => Promise<T>): Promise<T>;
  /** Does the optimiser's steps. */
  optimised<T>(work: () => T): T;
  /** Publishes the checkpoint. */
  published<T>(work: () => Promise<T>): Promise<T>;
  /** The iteration was learned, from these rollouts, and is this version. */
  learned(version: number, statistics: LearningStatistics, rollouts: readonly CalibratedRollout[]): void;
  close(): void;
}

/**
 * What a learner tells of itself.
 *
 * @param targetKl the KL asked for in nats, or 0 where the run has a fixed β
 */
export function learningTelemetry(telemetry: Telemetry, runId: string, targetKl: number): LearningTelemetry {
  const run = { 'infalign.run.id': runId };
  const stage = { ...run, 'infalign.stage': 'ppo-learner', 'infalign.purpose': 'training' };
  let waited = 0;
  /** Since when rollouts are waited for, if they are. */
  let waitingSince: number | undefined = performance.now();
  const secondsSince = (start: number): number => (performance.now() - start) / 1000;
  const end = telemetry.observe('infalign.learner.waiting.time', () => [
    { value: waited + (waitingSince === undefined ? 0 : secondsSince(waitingSince)), attributes: run },
  ]);

  /** A span below the one that is active, if one is. */
  function startStep(name: string): TraceSpan | undefined {
    const parent = activeSpan()?.traceparent;
    return parent === undefined ? undefined : telemetry.startSpan(name, { kind: 'internal', parent, attributes: run });
  }

  return {
    async iteration(traces, work) {
      if (waitingSince !== undefined) waited += secondsSince(waitingSince);
      waitingSince = undefined;
      const spans = startSpans(telemetry, runId, traces);
      try {
        return await withinSpan(spans[0], work);
      } catch (error) {
        for (const span of spans) span.fail(error instanceof Error ? error.name : 'failed');
        throw error;
      } finally {
        for (const span of spans) span.end();
        waitingSince = performance.now();
      }
    },
    optimised(work) {
      const [start, span] = [performance.now(), startStep('optimise')];
      const result = work();
      span?.end();
      telemetry.record('infalign.learner.iteration.duration', secondsSince(start), run);
      return result;
    },
    async published(work) {
      const span = startStep('publish checkpoint');
      const result = await withinSpan(span, work);
      span?.end();
      return result;
    },
    learned(version, statistics, rollouts) {
      if (!telemetry.enabled) return;
      const tokens = rollouts.reduce((sum, { scored }) => sum + scored!.rollout!.responseTokens.length, 0);
      telemetry.record('infalign.rollouts', rollouts.length, stage);
      telemetry.record('infalign.tokens', tokens, stage);
      telemetry.record('infalign.learner.rollouts.dropped', statistics.dropped, run);
      telemetry.record('infalign.learner.reward.raw', statistics.meanReward, run);
      telemetry.record('infalign.learner.reward.calibrated', statistics.meanCalibratedReward, run);
      telemetry.record('infalign.learner.reward.transformed', statistics.meanTransformedReward, run);
      telemetry.record('infalign.learner.kl', statistics.kl, run);
      telemetry.record('infalign.learner.kl.target', targetKl, run);
      telemetry.record('infalign.learner.beta', statistics.beta, run);
      telemetry.record('infalign.learner.staleness', statistics.staleness, run);
      telemetry.record('infalign.learner.clip_fraction', statistics.clipFraction, run);
      telemetry.record('infalign.learner.policy_loss', statistics.policyLoss, run);
      telemetry.record('infalign.learner.value_loss', statistics.valueLoss, run);
      telemetry.record('infalign.learner.gradient_norm', statistics.gradientNorm, run);
      telemetry.record('infalign.policy.version', version, run);
    },
    close: () => end(),
  };
}

/** A span of the iteration in each trace that is kept. */
function startSpans(telemetry: Telemetry, runId: string, traces: readonly string[]): TraceSpan[] {
  const spans: TraceSpan[] = [];
  for (const parent of traces.filter(isSampled)) {
    const span = telemetry.startSpan('learn iteration', {
      kind: 'consumer',
      parent,
      links: spans.slice(0, 1).map(({ traceparent }) => traceparent),
      attributes: {
        'infalign.run.id': runId,
        'messaging.system': 'kafka',
        'messaging.operation.type': 'process',
        'messaging.operation.name': 'process',
        'messaging.destination.name': topics.rolloutCalibrated.name,
      },
    });
    if (span) spans.push(span);
  }
  return spans;
}
