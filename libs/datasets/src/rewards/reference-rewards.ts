import type { JoinOptions } from './join-options.js';
import { forEachLine } from './lines.js';
import { createPartitionWriter, forEachRecord, partitionFile, type PartitionWriter } from './partitions.js';
import { createRewardIndex, type RewardIndex } from './reward-index.js';
import { createRewardLineReader } from './reward-line.js';

const KIND = 'references';

/**
 * Reads a file of `{prompt_id, rewards}` lines into an index, or, once the index outgrows its budget, into partition
 * files.
 *
 * @param newFolder - makes the folder for partition files; called at most once, and only when they are needed
 * @returns the index, or undefined when the rewards lie in partition files: see `loadReferencePartition`
 * @throws InputError for a bad line; for a prompt that is there twice (in partition files, when they are loaded)
 */
export async function readReferenceRewards(
  file: string,
  options: JoinOptions,
  newFolder: () => string,
): Promise<RewardIndex | undefined> {
  const readLine = createRewardLineReader(file, 'rewards');
  let index: RewardIndex | undefined = createRewardIndex(file);
  let partitions: PartitionWriter | undefined;
  await forEachLine(
    file,
    (bytes, start, end, line) => {
      const { promptId, values, count } = readLine(bytes, start, end, line);
      const rewards = values.subarray(0, count);
      if (index !== undefined) {
        index.add(promptId, line, rewards);
        if (index.bytes <= options.memoryBytes) return;
        partitions = createPartitionWriter(newFolder(), KIND);
        for (const [id, prompt] of index.entries()) {
          partitions.writeRewards(id, index.line(prompt), index.rewards(prompt));
        }
        index = undefined;
      } else {
        partitions?.writeRewards(promptId, line, rewards);
      }
    },
    options,
  );
  partitions?.finish();
  return index;
}

/**
 * Loads one partition of what `readReferenceRewards` wrote.
 *
 * @throws InputError when a prompt is there twice
 */
export async function loadReferencePartition(
  file: string,
  folder: string,
  partition: number,
  signal: AbortSignal | undefined,
): Promise<RewardIndex> {
  const index = createRewardIndex(file);
  await forEachRecord(
    partitionFile(folder, KIND, partition),
    (promptId, line, rewards) => index.add(promptId, line, rewards),
    signal,
  );
  return index;
}
