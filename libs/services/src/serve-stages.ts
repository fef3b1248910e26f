import { serveStage, type Stage } from '@infalign/rollout-stream';
import type { ServiceParts } from './service-parts.js';

/** Serves stages until the signal is aborted; when one fails the others are ended, and its error is thrown. */
export async function serveStages(
  stages: readonly Stage[],
  { stream, logger }: Pick<ServiceParts, 'stream' | 'logger'>,
  signal: AbortSignal,
): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const outcomes = await Promise.allSettled(
    stages.map(async (stage) => {
      try {
        await serveStage(stream, stage, {
          signal: either,
          onProgress({ name, consumed, produced, deadLetters }) {
            logger.debug({ stage: name, consumed, produced, deadLetters }, 'transaction');
          },
        });
      } catch (error) {
        failed.abort();
        throw error;
      }
    }),
  );
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
