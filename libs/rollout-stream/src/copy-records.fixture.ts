import { openEmbeddedStream } from './embedded-stream.js';
import { numberTopic } from './records.fixture.js';
import { runToQuiescence } from './run-to-quiescence.js';
import { stageWorker } from './stage-worker.js';
import { outgoing } from './topic.js';

// Copies every record, in small transactions, until all are copied or it is killed. The folder of the log is its argument.
const stream = openEmbeddedStream(process.argv[2]!);
process.stdout.write('copying\n');
const worker = await stageWorker<number>(stream, {
  name: 'copier',
  input: numberTopic('numbers'),
  maxBatchRecords: 5,
  open: () =>
    Promise.resolve({
      process: (batch) =>
        Promise.resolve({
          outputs: batch.map(({ value }) => outgoing(numberTopic('copies'), value)),
          consumed: batch.length,
        }),
    }),
});
await runToQuiescence([worker]);
await stream.close();
