import { openEmbeddedStream } from './embedded-stream.js';
import { numberTopic } from './records.fixture.js';
import { outgoing } from './topic.js';

// Appends until the log refuses, and tells what it said, what it had acknowledged, and what can be read of it then. The
// folder of the log is its argument.
const topic = numberTopic('numbers');
let acknowledged = 0;
let readable = 0;
let message: string;
try {
  const stream = openEmbeddedStream(process.argv[2]!);
  try {
    for (;;) {
      await stream.append(Array.from({ length: 500 }, (_, value) => outgoing(topic, value)));
      acknowledged += 500;
    }
  } catch (error) {
    message = String(error);
  }
  for await (const { value } of stream.readAll(topic)) readable += Number(value >= 0);
  await stream.close();
} catch (error) {
  message = String(error);
}
process.stdout.write(JSON.stringify({ message, acknowledged, readable }));
