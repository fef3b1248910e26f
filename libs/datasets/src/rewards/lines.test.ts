import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '@infalign/core';
import { forEachLine } from './lines.js';
import { newTestFolder } from './rewards.fixture.js';

const files = newTestFolder();

async function linesOf(file: string): Promise<[number, string][]> {
  const lines: [number, string][] = [];
  await forEachLine(file, (bytes, start, end, line) => lines.push([line, bytes.toString('utf8', start, end)]));
  return lines;
}

describe('forEachLine', () => {
  it('numbers the lines, skips blank ones and a byte-order mark, and takes a last line without line feed', async () => {
    const file = files.write('a', '\ufeffone\r\n\n  \ntwo\nthree');
    expect(await linesOf(file)).toEqual([
      [1, 'one\r'],
      [4, 'two'],
      [5, 'three'],
    ]);
  });

  it('tells a missing last line feed by the byte at the end', async () => {
    const ends: (number | undefined)[] = [];
    const visit = (bytes: Buffer, _start: number, end: number) => ends.push(bytes[end]);
    await forEachLine(files.write('b', 'one\ntwo'), visit);
    await forEachLine(files.write('c', 'one\ntwo\n'), visit);
    expect(ends).toEqual([10, undefined, 10, 10]);
  });

  it('puts lines together that are spread over many blocks', async () => {
    const expected = Array.from({ length: 400 }, (_, index) => `${index}:${'x'.repeat((index * 7919) % 30_000)}`);
    expected.push('y'.repeat(5_000_000), 'z');
    const text = `${expected.join('\n')}\n`;
    const plain = files.write('d', text);
    const packed = files.write('d.gz', gzipSync(text));
    expect((await linesOf(plain)).map(([, line]) => line)).toEqual(expected);
    expect(await linesOf(packed)).toEqual(await linesOf(plain));
  });

  it.runIf(process.platform !== 'win32')('decompresses what comes through a pipe in small pieces', async () => {
    const random = seededRandom('pieces');
    const expected = Array.from({ length: 3000 }, () => String(random.uniform()));
    const packed = gzipSync(`${expected.join('\n')}\n`);
    const pipe = files.path('pipe.gz');
    execFileSync('mkfifo', [pipe]);
    const reading = linesOf(pipe);
    const writer = await open(pipe, 'w');
    for (let start = 0; start < packed.length; start += 1500) await writer.write(packed.subarray(start, start + 1500));
    await writer.close();
    expect((await reading).map(([, line]) => line)).toEqual(expected);
  });

  it.runIf(process.platform !== 'win32')('stops at a signal while it waits for a pipe', async () => {
    const pipe = files.path('silent');
    execFileSync('mkfifo', [pipe]);
    const stop = new AbortController();
    const reading = forEachLine(pipe, () => undefined, { signal: stop.signal });
    const writer = await open(pipe, 'w');
    stop.abort(new Error('stopped'));
    await expect(reading).rejects.toThrow('stopped');
    await writer.close();
  });

  it('awaits what is done after a block, before it reads on', async () => {
    let pending = 0;
    let seen = 0;
    const file = files.write('e', `${'x'.repeat(100_000)}\n`.repeat(50));
    await forEachLine(file, () => (expect(pending).toBe(0), seen++), {
      afterBlock: async () => {
        pending++;
        await new Promise((resolve) => setTimeout(resolve, 2));
        pending--;
      },
    });
    expect(seen).toBe(50);
  });

  it('reports the bytes of the file, compressed or not', async () => {
    const text = 'line\n'.repeat(100_000);
    for (const [name, content] of [
      ['f', Buffer.from(text)],
      ['f.gz', gzipSync(text)],
    ] as const) {
      const events: unknown[] = [];
      let bytes = 0;
      await forEachLine(files.write(name, content), () => undefined, {
        progress: {
          start: (...event) => events.push(event),
          advance: (amount) => (bytes += amount),
          done: () => events.push('done'),
        },
      });
      expect(events).toEqual([[`reading ${name}`, content.length, 'bytes'], 'done']);
      expect(bytes).toBe(content.length);
    }
  });

  it('stops at a signal', async () => {
    const file = files.write('g', `${'x'.repeat(1000)}\n`.repeat(5000));
    const stop = new AbortController();
    const reading = forEachLine(file, () => stop.abort(new Error('stopped')), { signal: stop.signal });
    await expect(reading).rejects.toThrow('stopped');
  });

  it('says what is wrong with a file', async () => {
    const text = gzipSync('line\n'.repeat(10_000));
    await expect(linesOf(files.path('none'))).rejects.toThrow(/none: no such file/);
    await expect(linesOf(files.folder)).rejects.toThrow(/is a folder/);
    await expect(linesOf(files.write('h', ''))).rejects.toThrow(/h: is empty/);
    await expect(linesOf(files.write('i', '\n \n'))).rejects.toThrow(/i: is empty/);
    await expect(linesOf(files.write('j.gz', 'plain text'))).rejects.toThrow(/j\.gz: is not valid gzip/);
    await expect(linesOf(files.write('k.gz', text.subarray(0, text.length - 20)))).rejects.toThrow(
      /k\.gz: .*ends too early/,
    );
  });
});
