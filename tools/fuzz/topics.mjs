// The part of the fuzzing that goes into topics: what is written, and whether all of it has been accounted for.
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { absurd } from './absurd-values.mjs';
import { mutated, pick, randomBytes } from './mutations.mjs';
import { recordsOf } from '../services/real-run.mjs';

/** Records of one topic are sent together when they are so many, or so many bytes: a batch has to fit the topic. */
const recordsAtOnce = 400;
const bytesAtOnce = 2 ** 20;

/** Which groups read which topics, and so write dead letters of what is in them. */
export const consumers = [
  { group: 'policy-sampler', topic: 'sampling.requests' },
  { group: 'reward-scorer', topic: 'rollout.sampled' },
  { group: 'calibrator', topic: 'rollout.scored' },
  { group: 'evaluator', topic: 'rollout.scored' },
  { group: 'evaluator-requests', topic: 'policy.versions' },
];

/** How often each topic is written to, in relation; topics that are not named: 1. */
const weights = { 'sampling.requests': 6, 'rollout.sampled': 6, 'rollout.scored': 6, 'policy.versions': 3, runs: 2 };

/**
 * @typedef {object} Input a record that was written
 * @property {number} partition
 * @property {number} offset
 * @property {'decodable' | 'undecodable' | 'removal'} kind
 * @property {object | undefined} value of a decodable one
 */

/**
 * Writes records to all topics.
 *
 * @param {object} options
 * @param {string} options.brokers
 * @param {import('@infalign/rollout-stream').Topic[]} options.topics
 * @param {Map<string, Buffer[]>} options.seeds valid records by topic
 * @param {Record<string, { decode: Function, encode: Function }>} options.types of the topics' messages, unchecked
 * @param {ReadonlySet<string>} options.reserved ids of runs whose announcements are left alone
 * @param {number} options.partitions
 */
export async function topicWriter({ brokers, topics, seeds, types, reserved, partitions }) {
  const kafka = new Kafka({ clientId: 'fuzz', brokers: [brokers], logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  const bag = topics.flatMap((topic) => Array(weights[topic.name] ?? 1).fill(topic));
  /** @type {Map<string, Input[]>} */
  const inputs = new Map(topics.map(({ name }) => [name, []]));
  const waiting = new Map(topics.map(({ name }) => [name, { records: [], bytes: 0 }]));
  let made = 0;

  function payload(random, topic) {
    const ofTopic = seeds.get(topic.name);
    const which = random.uniform();
    if (which < 0.2) return randomBytes(random);
    if (which < 0.55) return mutated(random, ofTopic);
    if (which < 0.75) return absurd(random, ofTopic, types[topic.name]);
    if (which < 0.99) return validButAbsurd(random, topic, ofTopic);
    // As large as a record may be, and a dead letter of it would be larger.
    if (random.integer(10) > 0) return pick(random, ofTopic);
    return Buffer.concat([pick(random, ofTopic), Buffer.alloc(4 * 2 ** 20 - 5000, 0xff)]);
  }

  /** What nobody can refuse at first sight. */
  function validButAbsurd(random, topic, ofTopic) {
    for (let attempt = 0; ; attempt++) {
      const bytes = absurd(random, ofTopic, types[topic.name]);
      if (attempt === 10 || decoded(topic, bytes) !== undefined) return bytes;
    }
  }

  /** Announcements of the runs that go on are not touched: whoever may write them may stop them. */
  function harmless(topic, value, bytes) {
    if (topic.name !== 'runs' && topic.name !== 'policy.versions') return { value, bytes };
    if (value === undefined || !reserved.has(value.runId)) return { value, bytes };
    const other = { ...value, runId: `${value.runId}-${made}` };
    return { value: other, bytes: Buffer.from(topic.codec.encode(other)) };
  }

  function record(random) {
    const topic = pick(random, bag);
    made++;
    const partition = random.integer(partitions);
    if (random.integer(100) === 0) {
      return { topic, partition, kind: 'removal', key: `removal-${made}`, bytes: null };
    }
    const made_ = payload(random, topic);
    const { value, bytes } = harmless(topic, decoded(topic, made_), made_);
    const kind = value === undefined ? 'undecodable' : 'decodable';
    const key = value === undefined || topic.key(value).length > 1000 ? `fuzz-${made}` : topic.key(value);
    return { topic, partition, kind, value, key, bytes };
  }

  async function send(name, records) {
    if (records.length === 0) return;
    const answers = await producer.send({
      topic: name,
      messages: records.map(({ partition, key, bytes }) => ({ partition, key, value: bytes })),
    });
    for (const { partition, baseOffset } of answers) {
      records
        .filter((each) => each.partition === partition)
        .forEach(({ kind, value }, index) => {
          inputs.get(name).push({ partition, offset: Number(baseOffset) + index, kind, value });
        });
    }
  }

  async function flush(name) {
    const { records } = waiting.get(name);
    waiting.set(name, { records: [], bytes: 0 });
    await send(name, records);
  }

  return {
    inputs,
    /** Makes a record, and sends it sooner or later. */
    async write(random) {
      const made = record(random);
      const { name } = made.topic;
      const size = (made.bytes?.length ?? 0) + made.key.length + 100;
      if (waiting.get(name).bytes + size > bytesAtOnce) await flush(name);
      const queue = waiting.get(name);
      queue.records.push(made);
      queue.bytes += size;
      if (queue.records.length >= recordsAtOnce) await flush(name);
    },
    async flush() {
      for (const name of waiting.keys()) await flush(name);
    },
    /** Writes a valid record. */
    async add(topic, partition, value) {
      const bytes = Buffer.from(topic.codec.encode(value));
      await send(topic.name, [{ topic, partition, kind: 'decodable', value, key: topic.key(value), bytes }]);
    },
    close: () => producer.disconnect(),
  };
}

function decoded(topic, bytes) {
  try {
    return topic.codec.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * What has become of the inputs of a topic.
 *
 * @typedef {object} TopicCounts
 * @property {number} inputs
 * @property {number} undecodable
 * @property {number} removals that say nothing of anything
 * @property {number} accepted decodable, and of no dead letter
 * @property {number} deadLetters inputs that are one
 * @property {Record<string, number>} reasons the most frequent ones, without names and numbers
 */

/**
 * Compares what was written with the dead letters there are.
 *
 * @param {import('@infalign/rollout-stream').RolloutStream} stream
 * @param {import('@infalign/rollout-stream').Topic[]} topics
 * @param {Map<string, Input[]>} inputs
 * @param {(topic: object) => object} deadLetterTopic
 * @returns {Promise<{ counts: Record<string, TopicCounts>, failures: string[] }>}
 */
export async function accounted(stream, topics, inputs, deadLetterTopic) {
  const counts = {};
  const failures = [];
  const ids = await rolloutIds(stream, topics);
  for (const topic of topics) {
    const readers = consumers.filter((consumer) => consumer.topic === topic.name).length;
    const ofTopic = inputs.get(topic.name);
    const { letters, held } =
      readers > 0 ? await lettersOf(stream, deadLetterTopic(topic), inputs) : { letters: new Map(), held: [] };
    for (const { payload } of held) ids.held.add(topic.codec.decode(payload).rollout.rolloutId);
    const tell = (problem, { partition, offset }) => {
      failures.push(`${topic.name}, partition ${partition}, offset ${offset}: ${problem}`);
    };
    const reasons = new Map();
    let dead = 0;
    for (const input of ofTopic) {
      const own = letters.get(`${input.partition}/${input.offset}`) ?? [];
      if (own.length > 0) dead++;
      for (const { reason } of own) {
        const kind = withoutNames(reason);
        reasons.set(kind, (reasons.get(kind) ?? 0) + 1);
      }
      if (readers === 0) continue;
      if (input.kind === 'undecodable' && own.length !== readers) {
        tell(`cannot be decoded, and has ${own.length} dead letters of ${readers}`, input);
      }
      if (input.kind === 'decodable' && own.length > readers) tell(`has ${own.length} dead letters`, input);
      if (input.kind === 'decodable' && own.length === 0 && !hasOutput(topic.name, input.value, ids)) {
        tell('has left neither a dead letter nor a rollout', input);
      }
    }
    const undecodable = ofTopic.filter(({ kind }) => kind === 'undecodable').length;
    const removals = ofTopic.filter(({ kind }) => kind === 'removal').length;
    counts[topic.name] = {
      inputs: ofTopic.length,
      undecodable,
      removals,
      ...(readers > 0 && { accepted: ofTopic.length - removals - dead, deadLetters: dead }),
      reasons: Object.fromEntries([...reasons].sort((a, b) => b[1] - a[1]).slice(0, 15)),
    };
  }
  return { counts, failures };
}

/**
 * The dead letters that services wrote: by the place of what they are of; and those of rollouts that were read earlier, and
 * held, which are put aside because of the record that they name.
 */
async function lettersOf(stream, topic, inputs) {
  const own = new Set(inputs.get(topic.name).map(({ partition, offset }) => `${partition}/${offset}`));
  const letters = new Map();
  const held = [];
  for (const { partition, offset, value } of await recordsOf(stream, topic)) {
    if (own.has(`${partition}/${offset}`)) continue;
    if (value.reason.startsWith('held until now: ')) {
      held.push(value);
      continue;
    }
    const place = `${value.partition}/${value.offset}`;
    const there = letters.get(place);
    if (there) there.push(value);
    else letters.set(place, [value]);
  }
  return { letters, held };
}

async function rolloutIds(stream, topics) {
  const { rolloutId } = await import('@infalign/rollout-stream');
  const byName = Object.fromEntries(topics.map((topic) => [topic.name, topic]));
  const idsOf = async (name, rolloutOf) =>
    new Set((await recordsOf(stream, byName[name])).map(({ value }) => rolloutOf(value).rolloutId));
  return {
    rolloutId,
    sampled: await idsOf('rollout.sampled', (rollout) => rollout),
    scored: await idsOf('rollout.scored', ({ rollout }) => rollout),
    calibrated: await idsOf('rollout.calibrated', ({ scored }) => scored.rollout),
    held: await idsOf('calibration.held', ({ scored }) => scored.rollout),
  };
}

/** Whether what a record was for has been done. */
function hasOutput(topicName, value, { sampled, scored, calibrated, held, rolloutId }) {
  if (topicName === 'rollout.sampled') return scored.has(value.rolloutId);
  if (topicName === 'rollout.scored') {
    // The others change distributions, or are read by the evaluator alone.
    if (value.rollout.purpose !== 2) return true;
    return calibrated.has(value.rollout.rolloutId) || held.has(value.rollout.rolloutId);
  }
  if (topicName === 'sampling.requests') {
    const { runId, promptId, policyVersion, firstSampleIndex } = value;
    return sampled.has(rolloutId({ runId, promptId, policyVersion, sampleIndex: firstSampleIndex }));
  }
  return true;
}

/** A reason, so that those of one kind are the same. */
function withoutNames(reason) {
  return reason
    .replace(/"[^"]*"/g, '"…"')
    .replace(/(run|Run|rollout|prompt|Prompt) \S+/g, '$1 …')
    .replace(/-?\d+(\.\d+)?(e[+-]?\d+)?/gi, 'N')
    .slice(0, 120);
}
