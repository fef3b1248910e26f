import { createHash } from 'node:crypto';
import { calibrationKey, isDeadLetterTopic, allTopics, rolloutId, topics } from '@infalign/rollout-stream';

const { rolloutSampled, rolloutScored, rolloutCalibrated } = topics;

/** The topics in which a rollout is found, in the order of its way: what names it, and the record before that a record carries. */
const rolloutTopics = [
  { topic: rolloutSampled, rollout: (record) => record },
  {
    topic: rolloutScored,
    rollout: (record) => record.rollout,
    before: rolloutSampled,
    carried: ({ rollout }) => rollout,
  },
  {
    topic: rolloutCalibrated,
    rollout: (record) => record.scored.rollout,
    before: rolloutScored,
    carried: ({ scored }) => scored,
  },
];

/**
 * @typedef {object} RequestedRollout
 * @property {string} runId
 * @property {string} promptId
 * @property {number} policyVersion
 * @property {import('@infalign/contracts').Purpose} purpose
 *
 * @typedef {object} StreamContents
 * @property {Map<string, RequestedRollout>} requested by the ids of the rollouts
 * @property {Map<string, Map<string, string[]>>} rollouts by topic, by rollout: a hash of each record there is of it
 * @property {Map<string, { before: string, hashes: Map<string, string[]> }>} carried by topic, by rollout: a hash of the record of
 *   the topic before that each of these records carries
 * @property {Map<string, string[]>} requests the same by the ids of requests
 * @property {Map<string, { hashes: string[], rollouts: number }>} evaluations by run, prompt and version; rollouts measured
 * @property {Map<string, { runId: string, promptId: string, hash: string, seen: number }>} references by run and prompt
 * @property {Map<string, import('@infalign/contracts').PolicyVersion[]>} versions the policy versions that each run has announced, in the order of the log
 * @property {{ topic: string, reason: string }[]} deadLetters
 */

/**
 * Reads all that a stream holds of rollouts.
 *
 * @param {import('@infalign/rollout-stream').RolloutStream} stream
 * @returns {Promise<StreamContents>}
 */
export async function streamContents(stream) {
  const requested = new Map();
  const requests = new Map();
  for await (const { value } of stream.readAll(topics.samplingRequests)) {
    note(requests, value.requestId, value, topics.samplingRequests);
    const { runId, promptId, policyVersion, purpose } = value;
    for (let sample = 0; sample < value.samples; sample++) {
      const id = rolloutId({ ...value, sampleIndex: value.firstSampleIndex + sample });
      requested.set(id, { runId, promptId, policyVersion, purpose });
    }
  }

  const rollouts = new Map();
  const carried = new Map();
  for (const { topic, rollout, before, carried: part } of rolloutTopics) {
    const found = new Map();
    const hashes = new Map();
    for await (const { value } of stream.readAll(topic)) {
      const { rolloutId: id } = rollout(value);
      note(found, id, value, topic);
      if (before) note(hashes, id, part(value), before);
    }
    rollouts.set(topic.name, found);
    if (before) carried.set(topic.name, { before: before.name, hashes });
  }

  const evaluations = new Map();
  for await (const { value } of stream.readAll(topics.evaluationResults)) {
    const key = `${value.runId}/${value.promptId}/${value.policyVersion}`;
    const known = evaluations.get(key) ?? { hashes: [], rollouts: 0 };
    known.hashes.push(hashOf(value, topics.evaluationResults));
    evaluations.set(key, { ...known, rollouts: known.rollouts + value.rewards.length });
  }

  const references = new Map();
  for (const state of (await stream.table(topics.calibrationState)).values()) {
    const { runId, promptId, seen } = state;
    const hash = hashOf(state, topics.calibrationState);
    references.set(calibrationKey(runId, promptId), { runId, promptId, hash, seen: Number(seen) });
  }

  const versions = new Map();
  for await (const { value } of stream.readAll(topics.policyVersions)) {
    versions.set(value.runId, [...(versions.get(value.runId) ?? []), value]);
  }

  const deadLetters = [];
  for (const topic of allTopics().filter(isDeadLetterTopic)) {
    for await (const { value } of stream.readAll(topic)) deadLetters.push({ topic: value.topic, reason: value.reason });
  }
  return { requested, requests, rollouts, carried, evaluations, references, versions, deadLetters };
}

/** What several streams hold together, that have no run in common. @param {readonly StreamContents[]} contents */
export function joined(contents) {
  const union = (part) => new Map(contents.flatMap((each) => [...each[part]]));
  const byRollout = (hashesOf) => new Map(contents.flatMap((each) => [...hashesOf(each)]));
  return {
    requested: union('requested'),
    requests: union('requests'),
    rollouts: new Map(
      rolloutTopics.map(({ topic: { name } }) => [name, byRollout(({ rollouts }) => rollouts.get(name))]),
    ),
    carried: new Map(
      rolloutTopics
        .filter(({ before }) => before)
        .map(({ topic: { name }, before }) => [
          name,
          { before: before.name, hashes: byRollout(({ carried }) => carried.get(name).hashes) },
        ]),
    ),
    evaluations: union('evaluations'),
    references: union('references'),
    versions: union('versions'),
    deadLetters: contents.flatMap(({ deadLetters }) => deadLetters),
  };
}

function note(found, id, value, topic) {
  const hashes = found.get(id);
  if (hashes === undefined) found.set(id, [hashOf(value, topic)]);
  else hashes.push(hashOf(value, topic));
}

function hashOf(value, topic) {
  return createHash('sha256').update(topic.codec.encode(value)).digest('base64');
}
