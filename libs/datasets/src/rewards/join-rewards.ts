import { InputError } from '@infalign/core';
import type { JoinOptions } from './join-options.js';
import { forEachLine } from './lines.js';
import { createPartitionWriter, forEachRecord, PARTITION_COUNT, partitionFile } from './partitions.js';
import { loadReferencePartition, readReferenceRewards } from './reference-rewards.js';
import { duplicatePrompt, type RewardIndex } from './reward-index.js';
import { createRewardLineReader } from './reward-line.js';
import { withTemporaryFolder } from './temporary-folder.js';

/** One prompt's rewards on both sides. The arrays are valid only during the visit; their order may be changed. */
export interface RewardPair {
  readonly promptId: string;
  readonly policyRewards: Float64Array;
  readonly policyLine: number;
  readonly referenceRewards: Float64Array;
  readonly referenceLine: number;
}

/**
 * Joins two JSON Lines files of `{prompt_id, rewards}` by prompt, whatever the order of their lines, in memory that does
 * not grow with them. The order of the visits is not specified.
 *
 * @throws InputError naming file and line, for a bad line, for a prompt that is twice in one file or missing in the other
 */
export async function joinRewards(
  policyFile: string,
  referenceFile: string,
  options: JoinOptions,
  visit: (pair: RewardPair) => void,
): Promise<void> {
  await withTemporaryFolder(options.temporaryFolder, async (temporaryFolder) => {
    const whole = await readReferenceRewards(referenceFile, options, temporaryFolder);
    const policy = readPolicy(policyFile, options);
    if (whole !== undefined) {
      const join = startJoin(policyFile, referenceFile, whole, visit);
      await policy(join.add);
      join.finish();
      return;
    }
    const folder = temporaryFolder();
    const partitions = createPartitionWriter(folder, 'policy');
    await policy(partitions.writeRewards);
    partitions.finish();
    options.progress?.start('joining', PARTITION_COUNT, 'parts');
    for (let partition = 0; partition < PARTITION_COUNT; partition++) {
      const part = await loadReferencePartition(referenceFile, folder, partition, options.signal);
      const join = startJoin(policyFile, referenceFile, part, visit);
      await forEachRecord(partitionFile(folder, 'policy', partition), join.add, options.signal);
      join.finish();
      options.progress?.advance(1);
    }
    options.progress?.done();
  });
}

type AddRewards = (promptId: string, line: number, rewards: Float64Array) => void;

function readPolicy(file: string, options: JoinOptions): (add: AddRewards) => Promise<void> {
  const readLine = createRewardLineReader(file, 'rewards');
  return (add) =>
    forEachLine(
      file,
      (bytes, start, end, line) => {
        const { promptId, values, count } = readLine(bytes, start, end, line);
        add(promptId, line, values.subarray(0, count));
      },
      options,
    );
}

function startJoin(
  policyFile: string,
  referenceFile: string,
  references: RewardIndex,
  visit: (pair: RewardPair) => void,
): { add: AddRewards; finish: () => void } {
  const policyLines = new Float64Array(references.size); // 0: not met yet
  let met = 0;
  return {
    add(promptId, line, rewards) {
      const prompt = references.find(promptId);
      if (prompt === undefined) {
        throw new InputError(
          `${policyFile}:${line}: prompt "${promptId}" has no rewards in ${referenceFile}; add them there, or remove this line`,
        );
      }
      const earlier = policyLines[prompt]!;
      if (earlier !== 0) throw duplicatePrompt(policyFile, promptId, earlier, line);
      policyLines[prompt] = line;
      met++;
      visit({
        promptId,
        policyRewards: rewards,
        policyLine: line,
        referenceRewards: references.rewards(prompt),
        referenceLine: references.line(prompt),
      });
    },
    finish() {
      if (met === references.size) return;
      for (const [promptId, prompt] of references.entries()) {
        if (policyLines[prompt] !== 0) continue;
        throw new InputError(
          `${referenceFile}:${references.line(prompt)}: prompt "${promptId}" has no rewards in ${policyFile}; ` +
            `add them there, or remove this line`,
        );
      }
    },
  };
}
