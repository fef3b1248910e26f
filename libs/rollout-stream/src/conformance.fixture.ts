import { InputError } from '@infalign/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeGroups } from './conformance-groups.fixture.js';
import { describeStages } from './conformance-stages.fixture.js';
import {
  all,
  input,
  latest,
  numbers,
  output,
  readMany,
  spread,
  values,
  type StreamUnderTest,
} from './conformance-topics.fixture.js';
import { oneKey } from './records.fixture.js';
import { PartitionLost, WriterFenced, type RolloutStream } from './rollout-stream.js';
import { isPoison, outgoing, partitionOf, partitionOfKey, removal, type Topic } from './topic.js';

/** A topic that takes nothing. */
const invalid: Topic<number> = {
  ...input,
  codec: {
    ...input.codec,
    encode: () => {
      throw new Error('reward: NaN');
    },
  },
};

/**
 * What every implementation of a rollout stream must do.
 *
 * @param create makes an empty stream of three partitions a topic
 */
export function describeRolloutStream(name: string, create: () => Promise<StreamUnderTest>): void {
  describe(name, () => {
    let tested: StreamUnderTest;
    let stream: RolloutStream;
    /** Where the records of `input` are. */
    let home: number;
    beforeEach(async () => {
      tested = await create();
      ({ stream } = tested);
      home = partitionOfKey(oneKey, stream.partitions);
    });
    afterEach(() => tested.remove());

    it('gives back what was appended, in order, to every group', async () => {
      await stream.append(numbers(0, 5).map((value) => outgoing(input, value)));
      await stream.append([outgoing(input, 5)]);
      for (const group of ['one', 'two']) {
        const member = await stream.join(group, input);
        expect(member.assigned()).toEqual(numbers(0, stream.partitions));
        const batch = await readMany(member, home, 6);
        expect(values(batch)).toEqual(numbers(0, 6));
        const offsets = batch.map(({ offset }) => offset);
        expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
      }
    });

    it('has nothing in a topic that was never written', async () => {
      const member = await stream.join('group', input);
      expect(await member.read(home, 10)).toEqual([]);
      for (const offsets of [
        await stream.startOffsets(spread),
        await stream.endOffsets(spread),
        await stream.committed('group', spread),
      ]) {
        expect(offsets).toEqual([0, 0, 0]);
      }
      expect(await all(stream, input)).toEqual([]);
      expect(await stream.table(latest)).toEqual(new Map());
    });

    it('reads the same again until it is committed, and then what follows', async () => {
      await stream.append(numbers(0, 10).map((value) => outgoing(input, value)));
      const member = await stream.join('group', input);
      const batch = await readMany(member, home, 4);
      expect(values(await member.read(home, 4))).toEqual([0, 1, 2, 3]);
      await member.commit(home, batch.slice(0, 3), []);
      expect((await stream.committed('group', input))[home]).toBe(batch[2]!.offset + 1);
      expect(values(await readMany(member, home, 4))).toEqual([3, 4, 5, 6]);
      expect(await stream.committed('other', input)).toEqual([0, 0, 0]);
    });

    it('has nothing that waits where all has been committed, as whoever scales services by what waits has to see', async () => {
      const member = await stream.join('group', input);
      for (const first of [0, 4]) {
        await stream.append(numbers(first, first + 4).map((value) => outgoing(input, value)));
        await member.commit(home, await readMany(member, home, 4), []);
        expect(await stream.committed('group', input)).toEqual(await stream.endOffsets(input));
      }
    });

    it('keeps records and positions when it is reopened', async () => {
      await stream.append(numbers(0, 10).map((value) => outgoing(input, value)));
      const member = await stream.join('group', input);
      const batch = await readMany(member, home, 4);
      await member.commit(home, batch, [outgoing(output, 1)]);
      const ends = await stream.endOffsets(input);
      stream = await tested.reopen();
      expect((await stream.committed('group', input))[home]).toBe(batch[3]!.offset + 1);
      expect(await stream.endOffsets(input)).toEqual(ends);
      expect(await all(stream, input)).toEqual(numbers(0, 10));
      expect(await all(stream, output)).toEqual([1]);
      expect(values(await readMany(await stream.join('group', input), home, 6))).toEqual(numbers(4, 10));
    });

    it('commits positions and outputs together or not at all', async () => {
      await stream.append(numbers(0, 4).map((value) => outgoing(input, value)));
      const member = await stream.join('group', input);
      const batch = await readMany(member, home, 2);
      await member.commit(home, batch, [outgoing(output, 1)]);
      await expect(member.commit(home, batch, [outgoing(output, 2)])).rejects.toThrow('offset 0');
      const next = await readMany(member, home, 2);
      await expect(member.commit(home, next.slice(1), [outgoing(output, 2)])).rejects.toThrow('offset 3');
      await expect(member.commit(home, [], [outgoing(output, 2)])).rejects.toThrow('commits nothing');
      expect((await stream.committed('group', input))[home]).toBe(batch[1]!.offset + 1);
      expect(await all(stream, output)).toEqual([1]);
    });

    it('refuses records that are not valid, and then nothing of the transaction has happened', async () => {
      const outputs = [outgoing(output, 1), outgoing(invalid, NaN)];
      await expect(stream.append(outputs)).rejects.toThrow(InputError);
      await expect((await stream.writer('name')).append(outputs)).rejects.toThrow(/numbers.*reward: NaN/);
      await stream.append([outgoing(input, 1)]);
      const member = await stream.join('group', input);
      const batch = await readMany(member, home, 1);
      await expect(member.commit(home, batch, outputs)).rejects.toThrow(InputError);
      expect(await all(stream, output)).toEqual([]);
      expect(await stream.committed('group', input)).toEqual([0, 0, 0]);
      await member.commit(home, await member.read(home, 1), [outgoing(output, 2)]);
      expect(await all(stream, output)).toEqual([2]);
    });

    it('keeps records of one key in one partition, in order', async () => {
      for (const start of [0, 500]) {
        await stream.append(numbers(start, start + 500).map((value) => outgoing(spread, value)));
      }
      const found: number[] = [];
      const places: [number, number][] = [];
      for await (const { partition, offset, value } of stream.readAll(spread)) {
        expect(partition).toBe(partitionOf(spread, value, stream.partitions));
        found.push(value);
        places.push([partition, offset]);
      }
      expect(found).toHaveLength(1000);
      expect(places).toEqual([...places].sort((a, b) => a[0] - b[0] || a[1] - b[1]));
      for (const key of numbers(0, 100)) {
        expect(found.filter((value) => value % 100 === key)).toEqual(numbers(0, 10).map((index) => index * 100 + key));
      }
    });

    it('reads a topic from offsets on, up to its end as it is then', async () => {
      await stream.append(numbers(0, 10).map((value) => outgoing(input, value)));
      const ends = await stream.endOffsets(input);
      expect(await all(stream, input, ends)).toEqual([]);
      await stream.append(numbers(10, 13).map((value) => outgoing(input, value)));
      expect(await all(stream, input, ends)).toEqual([10, 11, 12]);
      expect(await all(stream, input)).toEqual(numbers(0, 13));
      const beyond = (await stream.endOffsets(input)).map((end) => end + 1);
      await expect(all(stream, input, beyond)).rejects.toThrow(InputError);
      await expect(stream.follow(input, beyond)).rejects.toThrow(InputError);
      await expect(stream.follow(input, [0])).rejects.toThrow('3 partitions');
    });

    it('keeps the latest record of each key of a compacted topic', async () => {
      for (const round of numbers(0, 5)) {
        await stream.append(numbers(0, 50).map((key) => outgoing(latest, round * 100 + key)));
      }
      // Twice in one transaction: the later one holds.
      await stream.append([outgoing(latest, 901), outgoing(latest, 1001)]);
      await stream.append([removal(latest, 7), removal(latest, 98), removal(latest, 8)]);
      await stream.append([outgoing(latest, 1008)]);
      const expected = new Map(numbers(0, 50).map((key) => [String(key), 400 + key]));
      expected.set('1', 1001).set('8', 1008).delete('7');
      for (const round of ['before', 'after']) {
        if (round === 'after') stream = await tested.reopen();
        const table = await stream.table(latest);
        expect(sorted(table)).toEqual(sorted(expected));
        const parts = await Promise.all(numbers(0, stream.partitions).map((part) => stream.table(latest, part)));
        expect(sorted(parts.flatMap((part) => [...part]))).toEqual(sorted(expected));
        parts.forEach((part, partition) => {
          for (const value of part.values()) expect(partitionOf(latest, value, stream.partitions)).toBe(partition);
        });
      }
      await expect(stream.table(spread)).rejects.toThrow('not compacted');
      await stream.append([outgoing(latest, 0.5)]);
      expect(sorted(await stream.table(latest))).toEqual(sorted(expected));
    });

    it('removes in the transaction that consumes', async () => {
      await stream.append([outgoing(latest, 103), outgoing(latest, 104), outgoing(input, 3)]);
      const member = await stream.join('group', input);
      await member.commit(home, await readMany(member, home, 1), [removal(latest, 3), outgoing(output, 103)]);
      expect(await stream.table(latest)).toEqual(new Map([['4', 104]]));
      expect(await all(stream, latest)).toContain(104);
      expect(await all(stream, output)).toEqual([103]);
    });

    it('lets readers follow all partitions of a topic, on and on', async () => {
      await stream.append(numbers(0, 90).map((value) => outgoing(spread, value)));
      const reader = await stream.follow(spread);
      const late = await stream.follow(spread, await stream.endOffsets(spread));
      const follow = async (from: typeof reader, count: number): Promise<number[]> => {
        const found: number[] = [];
        while (found.length < count) {
          const batch = await from.read(7);
          expect(batch.length).toBeLessThanOrEqual(7);
          found.push(...values(batch));
          if (batch.length === 0) await from.changed(1000);
        }
        return found.sort((a, b) => a - b);
      };
      const isRead = await reader.markEnd();
      expect((await (await stream.follow(output)).markEnd())()).toBe(true);
      expect(isRead()).toBe(false);
      expect(await follow(reader, 90)).toEqual(numbers(0, 90));
      while (!isRead()) await reader.changed(1000);
      expect((await late.markEnd())()).toBe(true);
      expect(await late.read(10)).toEqual([]);
      const woken = late.changed(60_000);
      await stream.append(numbers(90, 120).map((value) => outgoing(spread, value)));
      await woken;
      expect(await follow(reader, 30)).toEqual(numbers(90, 120));
      expect(await follow(late, 30)).toEqual(numbers(90, 120));
      await stream.append([outgoing(spread, 0.5)]);
      let read = await late.read(10);
      while (read.length === 0) {
        await late.changed(1000);
        read = await late.read(10);
      }
      expect(read.map(isPoison)).toEqual([true]);
      await reader.close();
      await late.close();
    });

    it('gives a name to one writer at a time', async () => {
      const first = await stream.writer('learner');
      await first.append([outgoing(output, 1)]);
      const other = await stream.writer('another');
      const second = await stream.writer('learner');
      await expect(first.append([outgoing(output, 2)])).rejects.toThrow(WriterFenced);
      await second.append([outgoing(output, 3), outgoing(spread, 4)]);
      await other.append([outgoing(output, 5)]);
      await expect(first.append([outgoing(output, 6)])).rejects.toThrow(WriterFenced);
      await first.close();
      await second.append([outgoing(output, 7)]);
      await second.close();
      await expect(second.append([outgoing(output, 8)])).rejects.toThrow(WriterFenced);
      expect(await all(stream, output)).toEqual([1, 3, 5, 7]);
      expect(await all(stream, spread)).toEqual([4]);
    });

    it('appends in the order in which it is asked to, one after another or all at once', async () => {
      const writer = await stream.writer('learner');
      for (const value of numbers(0, 10)) await writer.append([outgoing(output, value)]);
      const together = numbers(10, 30).map((value) => writer.append([outgoing(output, value)]));
      await expect(writer.append([outgoing(input, 1), outgoing(invalid, 1)])).rejects.toThrow(InputError);
      await Promise.all(together);
      for (const value of numbers(30, 35)) await stream.append([outgoing(output, value)]);
      await Promise.all(numbers(35, 45).map((value) => stream.append([outgoing(output, value)])));
      expect(await all(stream, output)).toEqual(numbers(0, 45));
      expect(await all(stream, input)).toEqual([]);
    });

    it('shows what a writer has appended, although that is closed', async () => {
      const writers = await Promise.all(numbers(0, 25).map((number) => stream.writer(`closing-${number}`)));
      for (const [value, writer] of writers.entries()) {
        await writer.append([outgoing(output, value), outgoing(spread, value)]);
        await writer.close();
        expect((await all(stream, output)).at(-1)).toBe(value);
      }
    });

    it('commits any number of records, of any size up to 900 KB, to any partitions, in order', async () => {
      const filler = 'x'.repeat(1000);
      const wide: Topic<number> = {
        ...spread,
        codec: {
          encode: (value) => Buffer.from(value === 0 ? 'x'.repeat(900_000) : `${filler}${value}`),
          decode: (bytes) => Number(Buffer.from(bytes).toString().replaceAll('x', '')),
        },
      };
      await stream.append([outgoing(input, 1)]);
      const member = await stream.join('group', input);
      const many = numbers(0, 2000);
      await member.commit(
        home,
        await readMany(member, home, 1),
        many.map((value) => outgoing(wide, value)),
      );
      const found = await all(stream, wide);
      expect([...found].sort((a, b) => a - b)).toEqual(many);
      for (const partition of numbers(0, stream.partitions)) {
        const inPartition = (value: number): boolean => partitionOf(wide, value, stream.partitions) === partition;
        expect(found.filter(inPartition)).toEqual(many.filter(inPartition));
      }
      await stream.append(many.map((value) => outgoing(wide, value)));
      expect(await all(stream, wide)).toHaveLength(4000);
      const reader = await stream.join('wide', wide);
      for (const partition of reader.assigned()) {
        // More at once than a few fetches bring.
        const expected = found.filter((value) => partitionOf(wide, value, stream.partitions) === partition);
        const batch = await readMany(reader, partition, 2 * expected.length);
        expect(batch.map((record) => !isPoison(record) && record.value)).toEqual([...expected, ...expected]);
      }
    });

    it('gives up what it has when it is closed', async () => {
      await stream.append([outgoing(input, 1)]);
      await stream.join('group', input);
      await stream.follow(input);
      stream = await tested.reopen();
      const member = await stream.join('group', input);
      expect(member.assigned()).toEqual(numbers(0, stream.partitions));
      await member.leave();
      expect(member.assigned()).toEqual([]);
      await expect(member.read(home, 1)).rejects.toThrow(PartitionLost);
    });

    describeGroups(() => stream);
    describeStages(() => stream);
  });
}

function sorted(table: Iterable<[string, number]>): [string, number][] {
  return [...table].sort(([a], [b]) => Number(a) - Number(b));
}
