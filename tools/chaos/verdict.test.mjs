import { Purpose } from '@infalign/contracts';
import { topics } from '@infalign/rollout-stream';
import { expect, it } from 'vitest';
import { judge } from './verdict.mjs';

const { rolloutSampled, rolloutScored, rolloutCalibrated } = topics;

/** Two training rollouts and two references of prompt p, and one evaluation, as they are when nothing is wrong. */
function flawless() {
  const requested = new Map();
  const rollouts = new Map([rolloutSampled, rolloutScored, rolloutCalibrated].map(({ name }) => [name, new Map()]));
  const add = (id, runId, policyVersion, purpose) => {
    requested.set(id, { runId, promptId: 'p', policyVersion, purpose });
    for (const [name, found] of rollouts) {
      if (name !== rolloutCalibrated.name || purpose === Purpose.PURPOSE_TRAINING) found.set(id, [`${name} ${id}`]);
    }
  };
  for (const id of ['t1', 't2']) add(id, 'run', 0, Purpose.PURPOSE_TRAINING);
  for (const id of ['r1', 'r2']) add(id, 'references', 0, Purpose.PURPOSE_REFERENCE);
  add('e1', 'run', 1, Purpose.PURPOSE_EVALUATION);
  return {
    requested,
    requests: new Map([['request', ['hash']]]),
    rollouts,
    carried: new Map([
      [rolloutScored.name, carriedFrom(rolloutSampled, rollouts.get(rolloutScored.name))],
      [rolloutCalibrated.name, carriedFrom(rolloutScored, rollouts.get(rolloutCalibrated.name))],
    ]),
    evaluations: new Map([['run/p/1', { hashes: ['hash'], rollouts: 1 }]]),
    references: new Map([['references/p', { hash: 'hash', seen: 2 }]]),
    versions: new Map(),
    deadLetters: [],
  };
}

/** What these records carry when nothing is wrong. */
function carriedFrom({ name }, rollouts) {
  return { before: name, hashes: new Map([...rollouts.keys()].map((id) => [id, [`${name} ${id}`]])) };
}

const learned = [{ iteration: 1, rollouts: 2, dropped: 0, announced: 1 }];

/** What is counted when something has happened to what was found. */
function counted(change, evidence = {}) {
  const found = flawless();
  change(found);
  return judge({ found, undisturbed: flawless(), learned, finished: true, ...evidence });
}

it('finds nothing where nothing is wrong', () => {
  expect(counted(() => undefined)).toEqual({
    ...{ produced: 5, consumed: 5, lost: 0, doubled: 0, unfounded: 0, differing: 0, dead_letters: 0, flaws: 0 },
    findings: [],
  });
});

it('counts a rollout as lost once, wherever it is missing', () => {
  const nowhere = (found) => {
    for (const rollouts of found.rollouts.values()) rollouts.delete('t1');
  };
  const learnedOne = [{ ...learned[0], rollouts: 1 }];
  expect(counted(nowhere, { learned: learnedOne })).toMatchObject({ lost: 1, doubled: 0, produced: 4, consumed: 4 });
  for (const { name } of [rolloutSampled, rolloutScored, rolloutCalibrated]) {
    expect(counted((found) => found.rollouts.get(name).delete('t2')).lost).toBe(1);
  }
});

it('counts what consumers have not taken', () => {
  expect(counted(() => undefined, { learned: [{ ...learned[0], rollouts: 1 }] }).lost).toBe(1);
  expect(counted((found) => found.references.set('references/p', { hash: 'hash', seen: 1 })).lost).toBe(1);
  expect(counted((found) => found.evaluations.clear()).lost).toBe(1);
});

it('counts what is there again, and what was taken again', () => {
  for (const { name } of [rolloutSampled, rolloutScored, rolloutCalibrated]) {
    const twice = counted((found) => found.rollouts.get(name).get('t1').push(`${name} t1`));
    expect(twice).toMatchObject({ lost: 0, doubled: 1, differing: 0 });
  }
  expect(counted(() => undefined, { learned: [{ ...learned[0], dropped: 1 }] }).doubled).toBe(1);
  expect(counted(() => undefined, { learned: [{ ...learned[0], announced: 2 }] }).doubled).toBe(2);
  expect(counted((found) => found.references.set('references/p', { hash: 'hash', seen: 3 })).doubled).toBe(1);
});

it('tells records that are not as they were, and dead letters', () => {
  expect(counted((found) => found.rollouts.get(rolloutScored.name).set('r1', ['other'])).differing).toBe(1);
  expect(counted((found) => found.rollouts.get(rolloutSampled.name).set('new', ['other'])).differing).toBe(1);
  expect(counted((found) => found.deadLetters.push({ topic: 'rollout.scored', reason: 'why' })).dead_letters).toBe(1);
});

it('counts rollouts that nobody asked for, and records that carry another one than was written', () => {
  const carrying = (topic, id, hash) => (found) => found.carried.get(topic.name).hashes.set(id, [hash]);
  expect(counted((found) => found.rollouts.get(rolloutSampled.name).set('new', ['hash'])).unfounded).toBe(1);
  expect(counted(carrying(rolloutScored, 'e1', 'other')).unfounded).toBe(1);
  expect(counted(carrying(rolloutCalibrated, 't2', `${rolloutScored.name} t1`)).unfounded).toBe(1);
});

it('holds records against each other only, where those who took part do not compute the same numbers', () => {
  const other = (found) => {
    found.rollouts.get(rolloutSampled.name).set('t1', ['other']);
    found.carried.get(rolloutScored.name).hashes.set('t1', ['other']);
  };
  expect(counted(other)).toMatchObject({ differing: 1, flaws: 1 });
  expect(counted(other, { sameNumbers: false })).toMatchObject({ differing: undefined, unfounded: 0, flaws: 0 });
  const changedOnItsWay = (found) => found.rollouts.get(rolloutSampled.name).set('t1', ['other']);
  expect(counted(changedOnItsWay, { sameNumbers: false })).toMatchObject({ unfounded: 1, flaws: 1 });
});

it('asks of a run that hangs only for what it has asked for itself', () => {
  const hanging = (found) => {
    found.requested.delete('e1');
    found.rollouts.get(rolloutSampled.name).delete('e1');
    found.rollouts.get(rolloutScored.name).delete('e1');
    found.evaluations.clear();
  };
  expect(counted(hanging, { finished: false }).lost).toBe(0);
  expect(counted(hanging).lost).toBe(1);
});
