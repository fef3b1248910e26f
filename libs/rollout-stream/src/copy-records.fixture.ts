import { openEmbeddedStream } from './embedded-stream.js';
import { numberTopic } from './records.fixture.js';
import { runToQuiescence } from './run-to-quiescence.js';
import { outgoing } from './topic.js';

// Copies every record, in small transactions, until all are copied or it is killed. The folder of the log is its argument.
const stream = openEmbeddedStream(process.argv[2]!);
process.stdout.write('copying\n');
await runToQuiescence(stream, [
  {
    name: 'copier',
    inputs: [numberTopic('numbers')],
    maxBatchRecords: 5,
    process: (batch) =>
      Promise.resolve({
        outputs: batch.map(({ value }) => outgoing(numberTopic('copies'), value as number)),
        consumed: batch.length,
      }),
  },
]);
await stream.close();
