import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '@infalign/core';
import { fileError } from './file-error.js';
import type { JoinOptions } from './join-options.js';
import { forEachLine, type LineVisitor, readChunks } from './lines.js';
import {
  createNumberReader,
  createPartitionWriter,
  forEachRecord,
  PARTITION_COUNT,
  partitionFile,
  partitionOf,
} from './partitions.js';
import { loadReferencePartition, readReferenceRewards } from './reference-rewards.js';
import type { RewardIndex } from './reward-index.js';
import { createRewardLineReader } from './reward-line.js';
import { TEMPORARY_FILE_ADVICE, withTemporaryFolder } from './temporary-folder.js';

/** What is made of each rollout's reward. */
export interface RolloutMeasure {
  /** Called once for a prompt, before its first rollout; may change the order of the rewards. */
  prepare(referenceRewards: Float64Array): void;
  /** The fields to add to the rollout's line; no line may have them already. */
  readonly fields: readonly string[];
  /**
   * The values of these fields, all finite, in their order.
   *
   * @throws InputError when they are not defined; file and line are put before its message
   */
  measure(reward: number, referenceRewards: Float64Array): readonly number[];
}

/**
 * Copies a JSON Lines file of rollouts, `{prompt_id, reward}` and any other fields, byte by byte and in its order, adding
 * fields that are computed from the rollout's reward and its prompt's reference rewards (`{prompt_id, rewards}` lines in
 * the other file, in any order). Memory does not grow with the files. Blank lines are dropped.
 *
 * @param write - receives the new lines; the bytes are reused once it resolves
 * @returns the number of rollouts
 * @throws InputError naming file and line, for a bad line, and for a rollout whose prompt has no reference rewards
 */
export async function annotateRollouts(
  rolloutsFile: string,
  referenceFile: string,
  options: JoinOptions,
  measure: RolloutMeasure,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<number> {
  return withTemporaryFolder(options.temporaryFolder, async (temporaryFolder) => {
    const whole = await readReferenceRewards(referenceFile, options, temporaryFolder);
    const output = createAnnotatedOutput(rolloutsFile, measure, write);
    const readLine = createRewardLineReader(rolloutsFile, 'reward', measure.fields);
    const readRollouts = (visit: LineVisitor, source = rolloutsFile) =>
      forEachLine(source, visit, { ...options, afterBlock: output.flush });

    if (whole !== undefined) {
      const measured = startMeasuring(rolloutsFile, referenceFile, whole, measure);
      await readRollouts((bytes, start, end, line) => {
        const { promptId, values } = readLine(bytes, start, end, line);
        output.add(bytes, start, end, measured(promptId, line, values[0]!));
      });
      return output.count();
    }

    const folder = temporaryFolder();
    const source = await rereadable(rolloutsFile, folder, options);
    const before = await stat(source);
    const rollouts = createPartitionWriter(folder, 'rollouts');
    await readRollouts((bytes, start, end, line) => {
      const { promptId, values } = readLine(bytes, start, end, line);
      rollouts.writeRewards(promptId, line, values.subarray(0, 1));
    }, source);
    rollouts.finish();

    const results = createPartitionWriter(folder, 'measured');
    options.progress?.start('joining', PARTITION_COUNT, 'parts');
    for (let partition = 0; partition < PARTITION_COUNT; partition++) {
      const part = await loadReferencePartition(referenceFile, folder, partition, options.signal);
      const measured = startMeasuring(rolloutsFile, referenceFile, part, measure);
      await forEachRecord(
        partitionFile(folder, 'rollouts', partition),
        (promptId, line, rewards) => {
          for (const value of measured(promptId, line, rewards[0]!)) results.writeNumber(partition, value);
        },
        options.signal,
      );
      options.progress?.advance(1);
    }
    results.finish();
    options.progress?.done();

    // A partition's results are in the order of its rollouts, so reading the rollouts again puts all in their order.
    const after = await stat(source);
    if (after.size !== before.size || after.mtimeMs !== before.mtimeMs) {
      throw new InputError(`${rolloutsFile}: changed while it was read; run the command again when it is complete`);
    }
    const next = createNumberReader(folder, 'measured');
    await readRollouts((bytes, start, end, line) => {
      const { promptId } = readLine(bytes, start, end, line);
      const partition = partitionOf(promptId);
      const values = measure.fields.map(() => next(partition));
      output.add(bytes, start, end, values);
    }, source);
    return output.count();
  });
}

/** A file that can be read twice: the file itself, or a copy of what comes out of a pipe. */
async function rereadable(file: string, folder: string, options: JoinOptions): Promise<string> {
  const status = await stat(file).catch((error: unknown) => {
    throw fileError(error, file);
  });
  if (status.isFile()) return file;
  const copy = join(folder, file.endsWith('.gz') ? 'copy.gz' : 'copy');
  const handle = await open(copy, 'wx');
  try {
    for await (const chunk of readChunks(file, options, false)) {
      await handle.appendFile(chunk).catch((error: unknown) => {
        throw fileError(error, folder, TEMPORARY_FILE_ADVICE);
      });
    }
  } finally {
    await handle.close();
  }
  return copy;
}

function startMeasuring(
  rolloutsFile: string,
  referenceFile: string,
  references: RewardIndex,
  measure: RolloutMeasure,
): (promptId: string, line: number, reward: number) => readonly number[] {
  for (let prompt = 0; prompt < references.size; prompt++) measure.prepare(references.rewards(prompt));
  return (promptId, line, reward) => {
    const prompt = references.find(promptId);
    if (prompt === undefined) {
      throw new InputError(
        `${rolloutsFile}:${line}: prompt "${promptId}" has no reference rewards in ${referenceFile}; ` +
          `add a line for it there, or remove its rollouts`,
      );
    }
    try {
      return measure.measure(reward, references.rewards(prompt));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new InputError(`${rolloutsFile}:${line}: prompt "${promptId}": ${error.message}`);
    }
  };
}

const CLOSE_BRACE = 0x7d;

function createAnnotatedOutput(
  file: string,
  measure: RolloutMeasure,
  write: (bytes: Uint8Array) => Promise<void>,
): {
  add: (bytes: Buffer, start: number, end: number, values: readonly number[]) => void;
  flush: () => Promise<void>;
  count: () => number;
} {
  const keys = measure.fields.map((field) => `,${JSON.stringify(field)}:`);
  let buffer = Buffer.allocUnsafe(1 << 21);
  let filled = 0;
  let count = 0;
  return {
    add(bytes, start, end, values) {
      let text = '';
      for (let index = 0; index < keys.length; index++) {
        const value = values[index];
        if (value === undefined || !Number.isFinite(value)) throw new Error(`${file}: no value for ${keys[index]!}`);
        text += keys[index]! + String(value);
      }
      text += '}\n';
      let brace = end - 1;
      while (bytes[brace] !== CLOSE_BRACE) brace--;
      const needed = filled + (brace - start) + text.length;
      if (needed > buffer.length) {
        const larger = Buffer.allocUnsafe(2 * needed);
        buffer.copy(larger, 0, 0, filled);
        buffer = larger;
      }
      filled += bytes.copy(buffer, filled, start, brace);
      filled += buffer.write(text, filled, 'latin1');
      count++;
    },
    async flush() {
      if (filled === 0) return;
      const part = buffer.subarray(0, filled);
      filled = 0;
      await write(part);
    },
    count: () => count,
  };
}
