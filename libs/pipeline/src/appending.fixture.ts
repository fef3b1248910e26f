import type { RolloutStream } from '@infalign/rollout-stream';

/**
 * A stream whose writers append in another way.
 *
 * @param append given what appends indeed
 */
export function appending(
  stream: RolloutStream,
  append: (indeed: () => Promise<void>) => Promise<void>,
): RolloutStream {
  return {
    ...stream,
    async writer(name) {
      const writer = await stream.writer(name);
      return { ...writer, append: (outputs) => append(() => writer.append(outputs)) };
    },
  };
}
