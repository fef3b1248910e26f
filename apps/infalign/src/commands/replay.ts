import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { InputError } from '@infalign/core';
import { Command } from 'commander';
import { recordLine } from '../record-line.js';
import { recordsNow } from '../records-now.js';
import { servicesFileOption, servicesOptions } from '../services-options.js';
import { topicNamed } from '../topic-named.js';
import { writeStandardOutput } from '../standard-output.js';

interface ReplayOptions {
  from: string;
  out: string;
  json?: boolean;
  services: string;
}

/** `infalign replay`: a topic, from any offset on, as files. */
export function replayCommand(): Command {
  return new Command('replay')
    .summary('read a topic from any offset into files')
    .description(
      `Reads what is in a topic now into a new folder: PARTITION.jsonl for each partition, one JSON object a record. Nobody's
position in the topic is moved. A record that cannot be decoded ends it with an error that names the place.`,
    )
    .argument('<topic>', 'such as rollout.calibrated')
    .option('--from <offsets>', 'the offset to begin at: one for all partitions, or one each, separated by commas', '0')
    .requiredOption('--out <folder>', 'where the files are written; new or empty')
    .option('--json', 'write the counts as one JSON object')
    .addOption(servicesFileOption())
    .addHelpText('after', '\nExample:\n  infalign replay rollout.scored --from 1000 --out scored')
    .action(replay);
}

async function replay(topicName: string, options: ReplayOptions): Promise<void> {
  const topic = await topicNamed(topicName);
  const folder = resolve(options.out);
  if (existsSync(folder) && !statSync(folder).isDirectory()) {
    throw new InputError(`${folder}: is a file. Name a new folder with --out.`);
  }
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new InputError(`${folder}: is not empty. Name a new folder with --out.`);
  }
  const { openStream } = await import('@infalign/services');
  const { describePosition, isPoison } = await import('@infalign/rollout-stream');
  const { services, logger } = await servicesOptions(options.services);
  const stream = await openStream('infalign-replay', services, logger);
  try {
    const from = offsetsFrom(options.from, stream.partitions);
    const starts = await stream.startOffsets(topic);
    makeFolder(folder);
    const files = starts.map((_, partition) => createWriteStream(join(folder, `${partition}.jsonl`)));
    const counts = starts.map(() => 0);
    const offsets = starts.map((start, partition) => Math.max(start, from[partition]!));
    for await (const record of recordsNow(stream, topic, offsets)) {
      if (isPoison(record)) {
        throw new InputError(
          `${describePosition(record)}: cannot be decoded: ${record.reason}. Begin after it with --from; infalign tail shows it.`,
        );
      }
      counts[record.partition]!++;
      const file = files[record.partition]!;
      if (!file.write(recordLine(record))) await once(file, 'drain');
    }
    await Promise.all(files.map((file) => finished(file.end())));
    const records = counts.reduce((sum, count) => sum + count, 0);
    await writeStandardOutput(
      options.json === true
        ? `${JSON.stringify({ topic: topic.name, records, partitions: counts, folder })}\n`
        : `${records} records of ${topic.name} are in ${folder}\n`,
    );
  } finally {
    await stream.close();
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new InputError(`${folder}: cannot be made (${code}). Name another folder with --out.`);
  }
}

function offsetsFrom(text: string, partitions: number): number[] {
  const parts = text.split(',');
  if (!parts.every((part) => /^\d+$/.test(part)) || (parts.length !== 1 && parts.length !== partitions)) {
    throw new InputError(`--from is "${text}"; it must be one offset, or ${partitions} of them, separated by commas`);
  }
  return Array.from({ length: partitions }, (_, partition) => Number(parts.length === 1 ? parts[0] : parts[partition]));
}
