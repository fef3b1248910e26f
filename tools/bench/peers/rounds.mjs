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
  for (let round = 0; round <= rounds; round++) {
    for (const side of order) {
      await setTimeout(100);
      const value = await sides[side]();
      if (round > 0) measured[side].push(value);
      tell(`  ${round === 0 ? 'to warm up' : `round ${round} of ${rounds}`}: ${side} ${Number(value.toPrecision(4))}`);
    }
    order.reverse();
  }
  return Object.fromEntries(Object.entries(measured).map(([side, values]) => [side, median(values)]));
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
