import { InputError } from '@infalign/core';
import { isPoison, topics, type RolloutStream, type Topic } from '@infalign/rollout-stream';

/** What runs can be restored from, together with their checkpoints. */
export interface Backup {
  /** Of the topics that it was read from. */
  readonly partitions: number;
  readonly runs: readonly BackedUp<typeof topics.runs>[];
  readonly policyVersions: readonly BackedUp<typeof topics.policyVersions>[];
  readonly calibrationStates: readonly BackedUp<typeof topics.calibrationState>[];
}

type BackedUp<T> = T extends Topic<infer Value> ? Value : never;

/** The topics that are backed up, in the order in which they are read: who finds the run of a record finds the record's run. */
const backedUpTopics = [topics.runs, topics.policyVersions, topics.calibrationState] as const;

const format = 'infalign-backup';
const formatVersion = 1;

/** The first line of the file. */
interface Header {
  readonly format: typeof format;
  readonly version: number;
  readonly partitions: number;
  /** Lines that follow. */
  readonly records: number;
}

/** One of the lines that follow. */
interface Line {
  readonly topic: string;
  /** As in the topic, in base64. */
  readonly record: string;
}

/**
 * Reads from a stream what its runs can be restored from: the runs, the policy versions that they have announced, and the
 * reference distributions. It may be done at any time, whatever is under way; nothing waits for it.
 *
 * @returns the text of a file for {@link parseBackup}: JSON Lines, a header and then a record a line
 */
export async function backUp(stream: RolloutStream): Promise<string> {
  const lines: Line[] = [];
  for (const topic of backedUpTopics as readonly Topic[]) {
    for (const value of await valuesOf(stream, topic)) {
      lines.push({ topic: topic.name, record: Buffer.from(topic.codec.encode(value)).toString('base64') });
    }
  }
  const header: Header = { format, version: formatVersion, partitions: stream.partitions, records: lines.length };
  return [header, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('');
}

async function valuesOf(stream: RolloutStream, topic: Topic): Promise<unknown[]> {
  if (topic.compacted) return [...(await stream.table(topic)).values()];
  const values: unknown[] = [];
  for await (const record of stream.readAll(topic)) if (!isPoison(record)) values.push(record.value);
  return values;
}

/**
 * Reads a backup.
 *
 * @param text as {@link backUp} wrote it
 * @param place what it was read from, for messages
 * @throws InputError if it is none, is incomplete, or a record is not valid
 */
export function parseBackup(text: string, place: string): Backup {
  const [first = '', ...rest] = text.split('\n').filter((line) => line !== '');
  const header = parseLine(first) as Partial<Header> | undefined;
  if (header?.format !== format)
    throw new InputError(`${place}: is no backup of runs, as infalign backup writes them.`);
  if (header.version !== formatVersion) {
    throw new InputError(`${place}: is of format ${header.version}, and this infalign reads format ${formatVersion}.`);
  }
  if (header.records !== rest.length) {
    throw new InputError(`${place}: ${rest.length} of ${header.records} records are there. Restore another backup.`);
  }
  const records = rest.map((line, index) => decodeLine(line, `${place}, line ${index + 2}`));
  const of = <T>(topic: Topic<T>): T[] =>
    records.filter((record) => record.topic.name === topic.name).map(({ value }) => value as T);
  return {
    partitions: header.partitions!,
    runs: of(topics.runs),
    policyVersions: of(topics.policyVersions),
    calibrationStates: of(topics.calibrationState),
  };
}

function decodeLine(line: string, place: string): { readonly topic: Topic; readonly value: unknown } {
  const { topic: name, record } = (parseLine(line) ?? {}) as Partial<Line>;
  const topic = (backedUpTopics as readonly Topic[]).find((each) => each.name === name);
  if (!topic || typeof record !== 'string') throw new InputError(`${place}: is damaged. Restore another backup.`);
  try {
    return { topic, value: topic.codec.decode(Buffer.from(record, 'base64')) };
  } catch (error) {
    throw new InputError(`${place}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
