import { setTimeout as sleep } from 'node:timers/promises';
import { Purpose } from '@infalign/contracts';
import { outgoing, recordBatches, topics } from '@infalign/rollout-stream';

/** @type {Record<string, (stream: import('@infalign/rollout-stream').RolloutStream) => Promise<string>>} */
export const plants = { double, lose };

/**
 * What a reward-scorer would do that produces without committing what it has consumed: there is a scored rollout once more.
 *
 * @returns {Promise<string>} what was done
 */
async function double(stream) {
  for (;;) {
    for await (const { value } of stream.readAll(topics.rolloutScored)) {
      if (value.rollout.purpose !== Purpose.PURPOSE_TRAINING) continue;
      await stream.append([outgoing(topics.rolloutScored, value)]);
      return `rollout ${value.rollout.rolloutId} is in rollout.scored once more`;
    }
    await sleep(200);
  }
}

/**
 * What a reward-scorer would do that commits what it has not scored: a batch of sampled rollouts is passed over.
 *
 * @returns {Promise<string>} what was done
 */
async function lose(stream) {
  const member = await stream.join('reward-scorer', topics.rolloutSampled);
  try {
    for (;;) {
      for (const partition of member.assigned()) {
        const batch = await firstBatch(member, partition);
        if (batch === undefined) continue;
        await member.commit(partition, batch, []);
        return `${batch.length} rollouts of rollout.sampled, partition ${partition}, are passed over by the reward-scorer`;
      }
      await member.changed(200);
    }
  } finally {
    await member.leave();
  }
}

/** A whole batch of training rollouts that waits in a partition, if one does. */
async function firstBatch(member, partition) {
  const records = await member.read(partition, 64).catch(() => []);
  const [batch] = recordBatches(records, ({ batchId, batchRollouts }) => ({ id: batchId, size: batchRollouts }));
  return batch?.complete && batch.records[0].value.purpose === Purpose.PURPOSE_TRAINING ? batch.records : undefined;
}
