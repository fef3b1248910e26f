import { expect, it } from 'vitest';
import { all, copies, numbers, readMany, spread, values } from './conformance-topics.fixture.js';
import { PartitionLost, type GroupMember, type RolloutStream } from './rollout-stream.js';
import { serveStage } from './serve.js';
import type { Stage } from './stage.js';
import { outgoing, partitionOf } from './topic.js';

/** What several members of one group can rely on. */
export function describeGroups(stream: () => RolloutStream): void {
  it('shares the partitions of a group among its members, and gives those of one that leaves to the others', async () => {
    const first = await stream().join('group', spread);
    expect(first.assigned()).toEqual([0, 1, 2]);
    const second = await stream().join('group', spread);
    await settled([first, second]);
    expect(first.assigned().length).toBeGreaterThan(0);
    expect(second.assigned().length).toBeGreaterThan(0);
    const third = await stream().join('group', spread);
    const fourth = await stream().join('group', spread);
    await settled([first, second, third, fourth]);
    const shares = [first, second, third, fourth].map((member) => member.assigned().length);
    expect(shares.sort()).toEqual([0, 1, 1, 1]);
    await first.leave();
    await second.leave();
    await third.leave();
    await settled([fourth]);
  });

  it('tells a member that a partition went elsewhere, also when it has come back', async () => {
    await stream().append(numbers(0, 60).map((value) => outgoing(spread, value)));
    const first = await stream().join('group', spread);
    const read = await Promise.all([0, 1, 2].map((partition) => readMany(first, partition, 4)));
    const second = await stream().join('group', spread);
    await settled([first, second]);
    const moved = second.assigned()[0]!;
    const kept = first.assigned()[0]!;
    await first.commit(kept, read[kept]!, []);
    expect(values(await readMany(second, moved, 4))).toEqual(values(read[moved]!));
    await second.commit(moved, (await readMany(second, moved, 4)).slice(0, 3), [outgoing(copies, 1)]);
    await second.leave();
    await settled([first]);
    await expect(first.commit(moved, read[moved]!, [outgoing(copies, 2)])).rejects.toThrow(PartitionLost);
    expect(values(await readMany(first, moved, 1))).toEqual(values(read[moved]!).slice(3));
    expect(await all(stream(), copies)).toEqual([1]);
  });

  it('tells how many records a member has still to consume in each of its partitions', async () => {
    const member = await stream().join('group', spread);
    expect([...(await member.lag())]).toEqual([0, 1, 2].map((partition) => [partition, 0]));
    await stream().append(numbers(0, 60).map((value) => outgoing(spread, value)));
    const read = await Promise.all([0, 1, 2].map((partition) => readMany(member, partition, 4)));
    const before = await member.lag();
    await member.commit(1, read[1]!.slice(0, 3), []);
    const after = await member.lag();
    expect(after.get(1)).toBe(before.get(1)! - 3);
    expect(after.get(2)).toBe(before.get(2));
    let counted = 0;
    for (const partition of [0, 1, 2]) {
      const mine = numbers(0, 60).filter((value) => partitionOf(spread, value, 3) === partition).length;
      // The end of the transaction that appended them may count.
      expect(before.get(partition)! - mine, `partition ${partition}`).toBeLessThanOrEqual(1);
      expect(before.get(partition)!).toBeGreaterThanOrEqual(mine);
      await member.commit(partition, await readMany(member, partition, mine - (partition === 1 ? 3 : 0)), []);
      counted += mine;
    }
    expect(counted).toBe(60);
    // What comes after the last record is passed when it has been fetched.
    while ([...(await member.lag()).values()].some((records) => records > 0)) await member.changed(100);
    await member.leave();
    expect((await member.lag()).size).toBe(0);
  });

  it('wakes a member for records and for partitions', async () => {
    const first = await stream().join('group', spread);
    await Promise.all([0, 1, 2].map((partition) => first.changed(0, partition)));
    await first.changed(0);
    const woken = [first.changed(60_000), ...[0, 1, 2].map((partition) => first.changed(60_000, partition))];
    await stream().append(numbers(0, 20).map((value) => outgoing(spread, value)));
    await Promise.all(woken);
    await Promise.all([0, 1, 2].map((partition) => readMany(first, partition, 3)));
    const second = await stream().join('group', spread);
    await settled([first, second]);
    await second.changed(60_000, second.assigned()[0]);
  });

  it('copies each record once while members come and go', async () => {
    const copying: Stage<number> = {
      name: 'copying',
      input: spread,
      maxBatchRecords: 5,
      open: () =>
        Promise.resolve({
          process: (batch) =>
            Promise.resolve({ outputs: batch.map(({ value }) => outgoing(copies, value)), consumed: batch.length }),
        }),
    };
    const count = 600;
    await stream().append(numbers(0, count).map((value) => outgoing(spread, value)));
    const servers: { end: AbortController; done: Promise<void> }[] = [];
    // What is there counts: of a transaction under way when its partition goes to another, a member may not hear any more.
    while ((await all(stream(), copies)).length < count) {
      if (servers.length === 3) {
        const { end, done: ended } = servers.shift()!;
        end.abort();
        await ended;
      } else {
        const end = new AbortController();
        servers.push({ end, done: serveStage(stream(), copying, { signal: end.signal }) });
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
    }
    servers.forEach(({ end }) => end.abort());
    await Promise.all(servers.map((server) => server.done));
    expect((await all(stream(), copies)).sort((a, b) => a - b)).toEqual(numbers(0, count));
  });
}

/** Resolves when these members have all partitions among them, each one once. */
async function settled(members: readonly GroupMember[]): Promise<void> {
  for (;;) {
    const owned = members.flatMap((member) => member.assigned()).sort();
    if (owned.join() === '0,1,2') return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
