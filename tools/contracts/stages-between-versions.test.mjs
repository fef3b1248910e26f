import '@tensorflow/tfjs-node';
import { fileDescriptorSet } from '@infalign/contracts';
import { topics } from '@infalign/rollout-stream';
import { expect, it } from 'vitest';
import { tinyExperiment, tinyWorkplace } from '../../libs/pipeline/src/tiny-experiment.fixture.ts';
import { carryOutRuns } from '../../libs/pipeline/src/tiny-run.fixture.ts';
import { nextVersion } from './next-version.mjs';

const next = nextVersion(Buffer.from(fileDescriptorSet, 'base64'));

/** The policy-sampler of the next version: all messages that it writes have a field that this version does not know. */
function samplerOfNextVersion(stage) {
  const grown = (output) => {
    if (output.topic.name !== topics.rolloutSampled.name) return output;
    const { codec } = output.topic;
    const encode = (rollout) => next.grown('SampledRollout', codec.encode(rollout));
    return { ...output, topic: { ...output.topic, codec: { ...codec, encode } } };
  };
  return {
    ...stage,
    async open(partition) {
      const processor = await stage.open(partition);
      return {
        async process(batch) {
          const result = await processor.process(batch);
          return { ...result, outputs: result.outputs.map(grown) };
        },
      };
    },
  };
}

async function carryOut(sampler) {
  const workplace = tinyWorkplace();
  try {
    const stream = await workplace.open();
    const { records } = await carryOutRuns(stream, workplace.store, tinyExperiment(), Infinity, sampler);
    const added = [];
    for await (const { value } of stream.readAll(topics.rolloutCalibrated)) {
      added.push(next.added('CalibratedRollout', topics.rolloutCalibrated.codec.encode(value)));
    }
    return { records, added };
  } finally {
    await workplace.remove();
  }
}

it('a learner of the next version finds what a sampler of it has added, though scorer and calibrator between them do not know it', async () => {
  const { records, added } = await carryOut(samplerOfNextVersion);
  // 3 iterations, 3 prompts, 4 rollouts each.
  expect(added).toHaveLength(36);
  for (const found of added) {
    expect(found).toMatchObject({
      'CalibratedRollout.scored.rollout': 'of SampledRollout',
      'CalibratedRollout.scored.reward': '',
    });
  }
  const undisturbed = await carryOut((stage) => stage);
  expect(undisturbed.added[0]['CalibratedRollout.scored.rollout']).toBe('');
  expect(records['policy.versions']).toEqual(undisturbed.records['policy.versions']);
  expect(records['evaluation.results']).toEqual(undisturbed.records['evaluation.results']);
  const deadLetters = Object.entries(records).filter(([topic]) => topic.endsWith('.dead-letter'));
  expect(deadLetters.flatMap(([, letters]) => letters)).toEqual([]);
});
