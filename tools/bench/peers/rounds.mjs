import { cpus } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { median } from '../median.mjs';

/**
 * Measures several sides in turn, round and round; every other round backwards, so that none always follows the same one.
 * One at a time: the next one begins when the threads of the last one have gone to sleep. A first round is not counted.
 *
 * @template {string} Side
 * @param {number} rounds that are counted
 * @param {Record<Side, () => Promise<number>>} sides each gives what it measured
 * @param {(text: string) => void} tell
 * @returns {Promise<Record<Side, number>>} medians
 */
export async function inTurns(rounds, sides, tell) {
  const order = Object.keys(sides);
  const measured = Object.fromEntries(order.map((side) => [side, []]));
  const pauses = [];
  for (let round = 0; round <= rounds; round++) {
    for (const side of order) {
      pauses.push(await pause());
      const value = await sides[side]();
      if (round > 0) measured[side].push(value);
      tell(`  ${round === 0 ? 'to warm up' : `round ${round} of ${rounds}`}: ${side} ${Number(value.toPrecision(4))}`);
    }
    order.reverse();
  }
  const busy = pauses.reduce((sum, share) => sum + share, 0) / pauses.length;
  if (busy > 0.1) {
    tell(
      `  others kept the processors busy by ${Math.round(100 * busy)} %: these measurements are worth little. ` +
        'Threads that wait for each other, as the peers have them, lose most.',
    );
  }
  return Object.fromEntries(Object.entries(measured).map(([side, values]) => [side, median(values)]));
}

/** Waits until the threads of the last side have gone to sleep. @returns the share of the processors that others use */
async function pause() {
  await setTimeout(100);
  const before = cpus();
  await setTimeout(200);
  const busy = cpus().map(({ times }, index) => {
    const spent = Object.entries(times).map(([kind, value]) => [kind, value - before[index].times[kind]]);
    const total = spent.reduce((sum, [, value]) => sum + value, 0);
    return total === 0 ? 0 : 1 - Object.fromEntries(spent).idle / total;
  });
  return busy.reduce((sum, share) => sum + share, 0) / busy.length;
}

/**
 * A row of a benchmark in which more is better.
 *
 * @param {string} name
 * @param {string} unit
 * @param {number} ours
 * @param {string} peer
 * @param {number} theirs
 */
export function rateRow(name, unit, ours, peer, theirs) {
  const rounded = (value) => Number(value.toPrecision(4));
  return { case: name, ours: rounded(ours), peer, peer_value: rounded(theirs), unit, ratio: ratioOf(ours, theirs) };
}

function ratioOf(ours, theirs) {
  return Number((ours / theirs).toFixed(2));
}
