import { seededRandom } from '@infalign/core';
import { serviceTitles } from './settings.mjs';

/** After so much of a run nothing more is killed: what has begun to be killed is killed before the run ends. */
const lastKillAt = 0.93;
/** Brokers take their time to come back, and only one is away at a time: theirs are spread evenly, and end earlier. */
const lastBrokerKillAt = 0.85;

/**
 * @typedef {object} PlannedKill
 * @property {number} at how much of the run is over, from 0 to 1
 * @property {number} delayMilliseconds from then on, so that nothing that the run does decides when it is
 * @property {number} choice among the processes that can be the victim, modulo their number
 * @property {number} awayMilliseconds until it is started again
 */

/**
 * What is killed and when, drawn from a seed: each service as often as the others, or once more, and brokers for a quarter.
 *
 * @param {string | number} seed
 * @param {number} kills at least 1
 * @returns {{ services: (PlannedKill & { title: string })[], brokers: PlannedKill[] }} each in the order of time
 */
export function planKills(seed, kills) {
  const random = seededRandom('chaos-kills', seed);
  const brokerCount = Math.round(kills / 4);
  const kill = (at) => ({
    at,
    delayMilliseconds: random.uniform() * 2500,
    choice: random.integer(60),
    awayMilliseconds: 300 + random.uniform() * 2200,
  });
  const titles = shuffled(serviceTitles, random);
  const services = Array.from({ length: kills - brokerCount }, (_, index) => ({
    title: titles[index % titles.length],
    ...kill(random.uniform() * lastKillAt),
  }));
  const brokers = Array.from({ length: brokerCount }, (_, index) =>
    kill(((index + random.uniform()) / brokerCount) * lastBrokerKillAt),
  );
  return { services: services.sort((a, b) => a.at - b.at), brokers };
}

/**
 * @typedef {object} NetworkFault
 * @property {number} afterMilliseconds since the end of the one before
 * @property {number} broker which one's connections, counted from 0
 * @property {'delay' | 'stall' | 'cut'} kind
 * @property {number} delayMilliseconds of a delay: by how much everything comes later
 * @property {number} lastsMilliseconds
 */

/**
 * What befalls the connections to the brokers, on and on.
 *
 * @param {string | number} seed
 * @param {number} brokers
 * @returns {Generator<NetworkFault, never>}
 */
export function* networkFaults(seed, brokers) {
  const random = seededRandom('chaos-network', seed);
  for (;;) {
    const kind = ['delay', 'stall', 'cut'][random.integer(3)];
    yield {
      afterMilliseconds: 500 + random.uniform() * 5000,
      broker: random.integer(brokers),
      kind,
      delayMilliseconds: 50 + random.uniform() * 250,
      lastsMilliseconds: kind === 'delay' ? 1000 + random.uniform() * 2000 : 500 + random.uniform() * 1500,
    };
  }
}

function shuffled(items, random) {
  return items
    .map((item) => ({ item, key: random.uniform() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
