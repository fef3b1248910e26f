import { forEachLine, type LineReading } from './lines.js';
import { createRewardIndex } from './reward-index.js';
import { createRewardLineReader } from './reward-line.js';

/**
 * Reads a JSON Lines file of `{prompt_id, rewards}` into memory, 8 bytes a reward.
 *
 * @returns the rewards of each prompt in their order, prompts in the order of their lines
 * @throws InputError naming file and line, for a bad line or a prompt that is there twice; or the file, if it cannot be read or is empty
 */
export async function readRewards(
  file: string,
  reading: Pick<LineReading, 'signal' | 'progress'> = {},
): Promise<Float64Array[]> {
  const readLine = createRewardLineReader(file, 'rewards');
  const index = createRewardIndex(file);
  await forEachLine(
    file,
    (bytes, start, end, line) => {
      const { promptId, values, count } = readLine(bytes, start, end, line);
      index.add(promptId, line, values.subarray(0, count));
    },
    reading,
  );
  return Array.from({ length: index.size }, (_, prompt) => index.rewards(prompt));
}
