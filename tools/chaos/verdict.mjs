import { Purpose } from '@infalign/contracts';
import { topics } from '@infalign/rollout-stream';

/**
 * @typedef {object} Counts
 * @property {number} produced rollouts that were sampled, each counted once
 * @property {number} consumed rollouts that have come to their end: learned from, taken as references, measured or collected
 * @property {number} lost rollouts that are missing somewhere on their way
 * @property {number} doubled rollouts that are more than once somewhere on their way
 * @property {number} unfounded records that do not come of what is before them in the stream: rollouts that nobody has asked for,
 *   and records that carry another one than was written for their rollout
 * @property {number | undefined} differing records that are not, byte for byte, those of the undisturbed run; undefined where they
 *   do not have to be
 * @property {number} dead_letters
 * @property {number} flaws all of these together
 * @property {string[]} findings what is wrong, in words; a few examples of each kind
 */

/**
 * Counts what has become of every rollout that was asked for.
 *
 * @param {object} evidence
 * @param {import('./stream-contents.mjs').StreamContents} evidence.found after the disturbed run
 * @param {import('./stream-contents.mjs').StreamContents} evidence.undisturbed after the other one
 * @param {readonly { iteration: number, rollouts: number, dropped: number, announced: number }[]} evidence.learned iteration by
 *   iteration: rollouts learned from, and dropped as there already, and how often its policy version was announced
 * @param {boolean} evidence.finished whether the disturbed run has come to its end; if not, what it had not asked for yet is
 *   not missing
 * @param {boolean} [evidence.sameNumbers] whether all that took part compute the same numbers as the undisturbed run did: records are
 *   compared with its records then; as they do, but where versions do not
 * @returns {Counts}
 */
export function judge({ found, undisturbed, learned, finished, sameNumbers = true }) {
  const findings = createFindings();
  const wanted = new Map([...(finished ? undisturbed.requested : []), ...found.requested]);
  const missing = new Set();
  const twice = new Set();
  for (const [topic, rollouts] of found.rollouts) {
    for (const [id, { purpose }] of wanted) {
      if (topic === topics.rolloutCalibrated.name && purpose !== Purpose.PURPOSE_TRAINING) continue;
      const times = rollouts.get(id)?.length ?? 0;
      if (times === 0) findings.add(`missing in ${topic}`, id, missing.add(id));
      if (times > 1) findings.add(`${times} times in ${topic}`, id, twice.add(id));
    }
  }
  for (const [id, { length }] of found.requests) if (length > 1) findings.add(`${length} times asked for`, id);

  let [lost, doubled] = [missing.size, twice.size];
  let consumed = 0;
  /** What a consumer says of a group of rollouts, which it does not tell apart. */
  const taken = (what, group, ids, count, again = 0) => {
    const expected = ids.filter((id) => !missing.has(id)).length;
    if (count < expected) findings.add(`not all ${what}`, `${group}: ${count} of ${expected}`);
    if (count > ids.length || again > 0) findings.add(`${what} again`, `${group}: ${count + again} of ${ids.length}`);
    lost += Math.max(0, expected - count);
    doubled += Math.max(0, count - ids.length) + again;
    consumed += Math.min(count, ids.length);
  };
  const ends = byEnd(wanted, undisturbed);
  for (const { iteration, rollouts, dropped, announced } of learned) {
    const again = dropped + rollouts * (announced - 1);
    taken('learned from', `iteration ${iteration}`, ends.learned.get(iteration) ?? [], rollouts, again);
  }
  for (const [key, ids] of ends.references) {
    taken('taken as references', key, ids, found.references.get(key)?.seen ?? 0);
  }
  for (const [key, ids] of ends.evaluations) {
    const { hashes = [], rollouts = 0 } = found.evaluations.get(key) ?? {};
    if (finished || hashes.length > 0) taken('measured', key, ids, rollouts);
  }
  const scored = found.rollouts.get(topics.rolloutScored.name);
  consumed += ends.collected.filter((id) => scored.has(id)).length;

  for (const { topic, reason } of found.deadLetters) findings.add(`dead letters of ${topic}`, reason);
  const unfounded = countUnfounded(found, findings);
  const differing = sameNumbers ? countDiffering(found, undisturbed, finished, findings) : undefined;
  const deadLetters = found.deadLetters.length;
  return {
    produced: found.rollouts.get(topics.rolloutSampled.name).size,
    consumed,
    lost,
    doubled,
    unfounded,
    differing,
    dead_letters: deadLetters,
    flaws: lost + doubled + unfounded + (differing ?? 0) + deadLetters,
    findings: findings.texts(),
  };
}

function countUnfounded(found, findings) {
  let unfounded = 0;
  for (const id of found.rollouts.get(topics.rolloutSampled.name).keys()) {
    if (found.requested.has(id)) continue;
    findings.add('nobody has asked for', id);
    unfounded++;
  }
  for (const [topic, { before, hashes }] of found.carried) {
    const written = found.rollouts.get(before);
    for (const [id, carried] of hashes) {
      const others = carried.filter((hash) => !written.get(id)?.includes(hash)).length;
      if (others > 0) findings.add(`${topic}: carries another record than ${before} has`, id);
      unfounded += others;
    }
  }
  return unfounded;
}

function countDiffering(found, undisturbed, finished, findings) {
  let differing = 0;
  const compare = (what, now, before) => {
    for (const [key, hashes] of now) {
      const expected = before.get(key)?.[0];
      const others = hashes.filter((hash) => hash !== expected).length;
      if (others > 0) findings.add(`${what}: not as in the undisturbed run`, key);
      differing += others;
    }
  };
  compare(topics.samplingRequests.name, found.requests, undisturbed.requests);
  for (const [topic, rollouts] of found.rollouts) compare(topic, rollouts, undisturbed.rollouts.get(topic));
  const hashes = (records) => new Map([...records].map(([key, { hash, hashes: all }]) => [key, all ?? [hash]]));
  compare(topics.evaluationResults.name, hashes(found.evaluations), hashes(undisturbed.evaluations));
  if (finished) compare(topics.calibrationState.name, hashes(found.references), hashes(undisturbed.references));
  return differing;
}

/** Rollouts by what their way ends with. */
function byEnd(wanted, undisturbed) {
  const learned = new Map();
  const references = new Map();
  const evaluations = new Map();
  const collected = [];
  const into = (groups, key, id) => {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [id]);
    else group.push(id);
  };
  for (const [id, { runId, promptId, policyVersion, purpose }] of wanted) {
    const evaluation = `${runId}/${promptId}/${policyVersion}`;
    // The policy of one version samples for the iteration after it.
    if (purpose === Purpose.PURPOSE_TRAINING) into(learned, policyVersion + 1, id);
    else if (purpose === Purpose.PURPOSE_REFERENCE) into(references, `${runId}/${promptId}`, id);
    else if (undisturbed.evaluations.has(evaluation)) into(evaluations, evaluation, id);
    else collected.push(id);
  }
  return { learned, references, evaluations, collected };
}

/** How many examples of each kind are told. */
const examples = 5;

function createFindings() {
  const byKind = new Map();
  return {
    add(kind, example) {
      const known = byKind.get(kind) ?? { count: 0, told: [] };
      known.count++;
      if (known.told.length < examples) known.told.push(example);
      byKind.set(kind, known);
    },
    texts: () =>
      [...byKind].map(
        ([kind, { count, told }]) => `${count} ${kind}: ${told.join('; ')}${count > examples ? '; …' : ''}`,
      ),
  };
}
