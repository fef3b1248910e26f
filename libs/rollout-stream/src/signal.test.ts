import { expect, it } from 'vitest';
import { createSignal } from './signal.js';

it('a signal wakes all who wait, or the next who will, once', async () => {
  const signal = createSignal();
  const waiting = [signal.wait(60_000), signal.wait(60_000)];
  signal.raise();
  await Promise.all(waiting);
  let woken = false;
  const next = signal.wait(20).then(() => (woken = true));
  expect(woken).toBe(false);
  await next;
  signal.raise();
  signal.raise();
  await signal.wait(60_000);
  await signal.wait(1);
});
