import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { acquireLock } from './folder-lock.js';

// Its arguments: a lock file, and how often to take the lock. Once: and end with the message if it cannot. More often: and
// count each time in the file `counter`, waiting for others. Infinitely often: hold it until killed.
const [file, text] = process.argv.slice(2) as [string, string];
const times = Number(text);
if (times === 1) acquireLock(file, 'the step')();
else if (times === Infinity) {
  acquireLock(file, 'the step');
  process.stdout.write('held\n');
  await sleep(600_000);
} else {
  const counter = join(dirname(file), 'counter');
  for (let held = 0; held < times;) {
    try {
      const release = acquireLock(file, 'the step');
      writeFileSync(counter, String(Number(readFileSync(counter, 'utf8')) + 1));
      release();
      held++;
    } catch {
      await sleep(1);
    }
  }
}
