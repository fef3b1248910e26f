import { allTopics, isDeadLetterTopic, type RolloutStream, type Topic } from '@infalign/rollout-stream';
import type { Logger } from '@infalign/telemetry';

/** How often is looked for them. */
const intervalMs = 5000;

/**
 * Logs, for each topic once, that records of it are put aside as unusable from now on. A run that they belong to never
 * comes to its end: it waits for what would have been made of them.
 *
 * @returns ends it
 */
export function warnOfUnusableRecords(stream: RolloutStream, logger: Logger): () => void {
  const topics = new Set(allTopics().filter(isDeadLetterTopic));
  let before: Map<Topic, number> | undefined;

  async function look(): Promise<void> {
    const sizes = await Promise.all(
      [...topics].map(async (topic) => {
        const ends = await stream.endOffsets(topic);
        return [topic, ends.reduce((sum, end) => sum + end)] as const;
      }),
    );
    before ??= new Map(sizes);
    for (const [topic, size] of sizes) {
      if (size === before.get(topic)) continue;
      topics.delete(topic);
      logger.warn(
        { topic: topic.name },
        'Records have been put aside as unusable since this run began. If they are its own, it waits for them for ever: ' +
          '`infalign tail` of this topic shows them, with reasons. Mend what made them, and run the experiment under a new name.',
      );
    }
  }

  /** A stream that cannot be looked at says so to whoever works with it. */
  const lookAndGoOn = (): void => void look().catch(() => undefined);
  lookAndGoOn();
  const timer = setInterval(lookAndGoOn, intervalMs);
  return () => clearInterval(timer);
}
