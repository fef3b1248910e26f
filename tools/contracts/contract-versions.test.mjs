import { create, createFileRegistry, fromBinary, toBinary, toJson } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import * as contracts from '@infalign/contracts';
import { allTopics, isDeadLetterTopic } from '@infalign/rollout-stream';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { messagesOfTopics as messageOf } from './messages-of-topics.mjs';
import { nextVersion } from './next-version.mjs';
import { recordExamples } from './record-examples.mjs';
import { releasedImage, releasedRecords } from './released.mjs';

const next = nextVersion(Buffer.from(contracts.fileDescriptorSet, 'base64'));

/** A valid record of a topic, by its name, with a change that its type may not allow. */
function exampleOf(name, change = {}) {
  const { topic, record } = recordExamples().find((example) => example.topic.name === name);
  return { topic, record: { ...record, ...change } };
}

describe('a record of the next version', () => {
  it('is read by this one as if what is new were not there', () => {
    for (const { topic, record } of recordExamples()) {
      const bytes = next.grown(messageOf[topic.name], topic.codec.encode(record));
      expect(withoutUnknown(topic.codec.decode(bytes)), topic.name).toEqual(record);
    }
  });

  it('is passed on by this one with all that is new, in whatever it has been made part of', () => {
    for (const { topic, record } of recordExamples()) {
      const message = messageOf[topic.name];
      const passedOn = topic.codec.encode(topic.codec.decode(next.grown(message, topic.codec.encode(record))));
      const found = next.added(message, passedOn);
      expect(Object.entries(found).length, topic.name).toBeGreaterThan(0);
      for (const [path, value] of Object.entries(found)) expect(value).toBe(`of ${path}`);
    }
    const { topic, record } = exampleOf('rollout.calibrated');
    const sampled = contracts.SampledRollout.decode(
      next.grown('SampledRollout', contracts.SampledRollout.encode(record.scored.rollout).finish()),
    );
    const calibrated = topic.codec.encode({ ...record, scored: { ...record.scored, rollout: sampled } });
    expect(next.added('CalibratedRollout', calibrated)).toMatchObject({
      CalibratedRollout: '',
      'CalibratedRollout.scored.rollout': 'of SampledRollout',
    });
  });

  it('is refused by this one, with its name, where it says what this one does not know how to do', () => {
    // A value that is new is one that the version before has to be able to read: see docs/upgrade-and-recovery.md.
    for (const [name, change, refusal] of [
      ['sampling.requests', { purpose: 4 }, 'purpose: 4 is not a purpose'],
      ['rollout.calibrated', { source: 3 }, 'source: 3 is not a source of references'],
      ['calibration.events', { drift: undefined }, 'event: missing'],
    ]) {
      const { topic, record } = exampleOf(name, change);
      const bytes = contracts[messageOf[name]].encode(record).finish();
      expect(() => topic.codec.decode(bytes)).toThrow(refusal);
    }
  });
});

describe('a record of this version', () => {
  it('has nothing in what the next one has added, which is how the next one knows', () => {
    for (const { topic, record } of recordExamples()) {
      for (const value of Object.values(next.added(messageOf[topic.name], topic.codec.encode(record)))) {
        expect(value).toBe('');
      }
    }
  });

  it('holds nothing but its fields when it has been read', () => {
    for (const { topic, record } of recordExamples()) {
      expect(JSON.stringify(topic.codec.decode(topic.codec.encode(record)))).not.toContain('nknown');
    }
  });
});

describe('a record of the last release', () => {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(releasedImage)));
  const asReleased = (name, bytes) => {
    const message = registry.getMessage(`infalign.v1.${name}`);
    return toJson(message, fromBinary(message, bytes));
  };

  it('is there of every topic', () => {
    const names = allTopics()
      .filter((topic) => !isDeadLetterTopic(topic))
      .map(({ name }) => name);
    expect(Object.keys(messageOf).sort()).toEqual(names.sort());
    expect(names).toEqual(expect.arrayContaining(Object.keys(releasedRecords())));
  });

  it('is valid in this version, and the same to the last release when this one has passed it on', () => {
    for (const [name, base64] of Object.entries(releasedRecords())) {
      const { topic } = exampleOf(name);
      const bytes = Buffer.from(base64, 'base64');
      const passedOn = topic.codec.encode(topic.codec.decode(bytes));
      expect(asReleased(messageOf[name], passedOn), name).toEqual(asReleased(messageOf[name], bytes));
    }
  });

  it('says what this version says with the same fields', () => {
    for (const { topic, record } of recordExamples()) {
      const message = registry.getMessage(`infalign.v1.${messageOf[topic.name]}`);
      const fields = new Set(message.fields.map(({ localName }) => localName));
      const known = Object.fromEntries(Object.entries(record).filter(([name]) => fields.has(name)));
      const inRelease = fromBinary(message, topic.codec.encode(record));
      const read = contracts[messageOf[topic.name]].decode(toBinary(message, create(message, inRelease)));
      expect(withoutUnknown(read), topic.name).toMatchObject(JSON.parse(JSON.stringify(known)));
    }
  });
});

/** A message as it is without what its reader does not know. */
function withoutUnknown(value) {
  if (Array.isArray(value)) return value.map(withoutUnknown);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== '_unknownFields')
      .map(([name, inner]) => [name, withoutUnknown(inner)]),
  );
}
