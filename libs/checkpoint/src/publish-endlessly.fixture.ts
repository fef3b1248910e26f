import { openCheckpointStore } from './open-checkpoint-store.js';
import { numberedFiles } from './numbered-files.fixture.js';

// Replaces a checkpoint again and again, until it is killed. Its arguments: the store's address, the checkpoint's name, and
// the number to count from.
const [address, name, first] = process.argv.slice(2) as [string, string, string];
const store = openCheckpointStore(address);
for (let number = Number(first); ; number++) {
  await store.publish(name, numberedFiles(number), { number });
  if (number === Number(first)) process.stdout.write('published\n');
}
