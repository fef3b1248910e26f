// Runs that the services carry out: valid messages are made of what they leave, and they show that everything still works.
import { setTimeout as sleep } from 'node:timers/promises';
import { experimentText } from './tiny-experiment.mjs';

/**
 * Has the services carry out an experiment: references, a policy, its evaluation.
 *
 * @param {import('./five-services.mjs').FiveServices} world
 * @param {import('@infalign/rollout-stream').RolloutStream} stream
 * @param {object} options
 * @param {string} options.name
 * @param {string} options.checkpoints where they lie in the store
 * @param {number} options.seconds that it may take
 * @param {Record<string, Record<string, unknown>>} [options.changes] to the sections of the experiment file
 * @param {import('@infalign/rpc').ClientTls} [options.tls]
 * @param {boolean} [options.heldOut] whether held-out references are sampled too
 * @returns {Promise<{ experiment: string, references: string, policy: string }>} the experiment file, and the runs' ids
 */
export async function carryOut(
  { services },
  stream,
  { name, checkpoints, seconds, changes = {}, tls, heldOut = false },
) {
  const { EvaluatorServiceService, PpoLearnerServiceService } = await import('@infalign/contracts');
  const { policyRuns, runIdOf, stepNames } = await import('@infalign/pipeline');
  const { parseExperiment } = await import('@infalign/run-config');
  const { createRpcClient } = await import('@infalign/rpc');
  const experiment = experimentText(name, stream.partitions, changes);
  const parsed = parseExperiment(experiment, name);
  const deadlineMs = seconds * 1000;
  const options = { deadlineMs, ...(tls && { tls }) };
  const learner = createRpcClient(PpoLearnerServiceService, { address: services['ppo-learner'].address, ...options });
  const evaluator = createRpcClient(EvaluatorServiceService, { address: services.evaluator.address, ...options });
  try {
    const start = async (step) => {
      const runId = runIdOf(parsed, step);
      await learner.startRun({ runId, experiment, step, checkpoints });
      return runId;
    };
    if (heldOut) await start(stepNames.heldOutReferences);
    const references = await start(stepNames.trainingReferences);
    const policy = await start(policyRuns(parsed)[0].name);
    const { iterations } = parsed.ppo;
    let learned = 0;
    for await (const { statistics } of learner.watchRun({ runId: policy })) learned = statistics.iteration;
    if (learned !== iterations) throw new Error(`${policy}: ${learned} of ${iterations} iterations were learned`);
    const measured = new Set();
    for await (const { result } of evaluator.evaluate({ runId: policy, policyVersion: iterations })) {
      measured.add(result.promptId);
    }
    if (measured.size !== parsed.prompts.evaluation) {
      throw new Error(`${policy}: ${measured.size} of ${parsed.prompts.evaluation} prompts were evaluated`);
    }
    return { experiment, references, policy };
  } finally {
    learner.close();
    evaluator.close();
  }
}

/** Every record of a topic that can be decoded, as it is now. */
export async function recordsOf(stream, topic) {
  const records = [];
  for await (const record of stream.readAll(topic)) records.push(record);
  return records;
}

/**
 * Valid records of every topic, encoded.
 *
 * @returns {Promise<Map<string, Buffer[]>>} by the topic's name
 */
export async function validRecords(stream) {
  const { allTopics, deadLetterTopic, isDeadLetterTopic, topics } = await import('@infalign/rollout-stream');
  const own = new Map();
  await Promise.all(
    allTopics()
      .filter((topic) => !isDeadLetterTopic(topic))
      .map(async (topic) => {
        const records = await recordsOf(stream, topic);
        own.set(
          topic.name,
          records.map(({ value }) => value),
        );
      }),
  );
  // What a run leaves where nothing goes wrong.
  const scored = own.get(topics.rolloutScored.name);
  own.set(
    topics.calibrationHeld.name,
    scored.slice(0, 8).map((held) => ({ scored: held })),
  );
  const { runId, promptId } = scored[0].rollout;
  const event = { runId, promptId, calibrationVersion: 2 };
  own.set(topics.calibrationEvents.name, [
    { ...event, drift: { distance: 0.5, pValue: 1e-4, before: 8, since: 8 } },
    { ...event, rewardModelChange: { before: 'a', since: 'b', dropped: 8 } },
  ]);
  // Half of what stands in batches, alone: else hardly any batch would be complete.
  const alone = (topic, change) => {
    own.set(
      topic.name,
      own.get(topic.name).flatMap((value, index) => [value, change(value, `alone-${index}`)]),
    );
  };
  alone(topics.samplingRequests, (value, batchId) => ({ ...value, batchId, batchRequests: 1 }));
  alone(topics.rolloutSampled, (value, batchId) => ({ ...value, batchId, batchRollouts: 1 }));
  alone(topics.rolloutScored, (value, batchId) => ({
    ...value,
    rollout: { ...value.rollout, batchId, batchRollouts: 1 },
  }));
  const encoded = new Map();
  for (const topic of Object.values(topics)) {
    const payloads = own.get(topic.name).map((value) => Buffer.from(topic.codec.encode(value)));
    encoded.set(topic.name, payloads);
    const letters = deadLetterTopic(topic);
    encoded.set(
      letters.name,
      payloads.slice(0, 4).map((payload, offset) => {
        const letter = { topic: topic.name, partition: 0, offset, reason: 'nothing', payload };
        return Buffer.from(letters.codec.encode(letter));
      }),
    );
  }
  return encoded;
}

/** Waits until something holds. @returns whether it came to hold in time */
export async function until(condition, seconds, everyMs = 500) {
  for (const end = performance.now() + seconds * 1000; performance.now() < end; await sleep(everyMs)) {
    if (await condition()) return true;
  }
  return false;
}
