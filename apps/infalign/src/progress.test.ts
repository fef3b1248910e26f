import { describe, expect, it } from 'vitest';
import { createPlainLines } from './progress.js';

function watched() {
  const lines: string[] = [];
  let time = 0;
  const progress = createPlainLines(
    (line) => lines.push(line),
    () => time,
  );
  return { lines, progress, wait: (seconds: number) => (time += 1000 * seconds) };
}

describe('createPlainLines', () => {
  it('says how far the work is, how fast, and how long it will take, every five seconds', () => {
    const { lines, progress, wait } = watched();
    progress.start('reading a.jsonl', 400e6, 'bytes');
    for (let second = 0; second < 20; second++) {
      wait(1);
      progress.advance(20e6);
    }
    progress.done();
    expect(lines).toEqual([
      'reading a.jsonl: 25 % (100 MB of 400 MB), 20 MB/s, 15 s left',
      'reading a.jsonl: 50 % (200 MB of 400 MB), 20 MB/s, 10 s left',
      'reading a.jsonl: 75 % (300 MB of 400 MB), 20 MB/s, 5 s left',
      'reading a.jsonl: 100 % (400 MB of 400 MB), 20 MB/s, 0 s left',
      'reading a.jsonl: 100 % (400 MB of 400 MB), 20 MB/s, 0 s left',
    ]);
  });

  it('says nothing about short work', () => {
    const { lines, progress, wait } = watched();
    progress.start('joining', 256, 'parts');
    wait(4);
    progress.advance(256);
    progress.done();
    progress.advance(1);
    expect(lines).toEqual([]);
  });

  it('does without what is not known', () => {
    const { lines, progress, wait } = watched();
    progress.start('PPO');
    wait(10);
    progress.advance(5);
    wait(7200);
    progress.start('sampling', 1e6, 'rollouts');
    wait(100);
    progress.advance(1000);
    expect(lines).toEqual([
      'PPO: (5), 0.5/s',
      'sampling: 0 % (1000 rollouts of 1000000 rollouts), 10 rollouts/s, 27.8 h left',
    ]);
  });
});
