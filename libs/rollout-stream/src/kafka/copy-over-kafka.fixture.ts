import { numberTopic } from '../records.fixture.js';
import { serveStage } from '../serve.js';
import type { Stage } from '../stage.js';
import { outgoing } from '../topic.js';
import { openKafkaStream } from './kafka-stream.js';
import type { KafkaStreamOptions } from './options.js';

/** What the process is told, as JSON, in its argument. */
export interface CopyTask {
  readonly options: KafkaStreamOptions;
  /** Names of topics: numbers are copied from each to the next. */
  readonly through: readonly string[];
  readonly maxBatchRecords: number;
}

/** The topics of these names. */
export const copyTopics = (names: readonly string[]): ReturnType<typeof numberTopic>[] =>
  names.map((name) => numberTopic(name));

// Copies numbers from topic to topic until it is told to end, or killed. Says `copying` when it begins, and `copied` after
// every transaction.
if (process.argv[1] === import.meta.filename) {
  const { options, through, maxBatchRecords } = JSON.parse(process.argv[2]!) as CopyTask;
  const topics = copyTopics(through);
  const end = new AbortController();
  process.once('SIGTERM', () => end.abort());
  const stream = await openKafkaStream({ ...options, topics });
  process.stdout.write('copying\n');
  const stages = topics.slice(1).map((to, index): Stage<number> => {
    const from = topics[index]!;
    return {
      name: `copy-${from.name}`,
      input: from,
      maxBatchRecords,
      open: () =>
        Promise.resolve({
          process: (batch) =>
            Promise.resolve({ outputs: batch.map(({ value }) => outgoing(to, value)), consumed: batch.length }),
        }),
    };
  });
  const onProgress = (): void => void process.stdout.write('copied\n');
  await Promise.all(stages.map((stage) => serveStage(stream, stage, { signal: end.signal, onProgress })));
  await stream.close();
}
