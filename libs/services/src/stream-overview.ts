import { allTopics, isDeadLetterTopic, topics, type Topic } from '@infalign/rollout-stream';
import type { Services } from '@infalign/run-config';
import type { Logger } from '@infalign/telemetry';
import { openServiceParts, type StoreCredentials } from './service-parts.js';

/** What is in a stream: what waits for whom, what could not be used, and how far runs are. */
export interface StreamOverview {
  /** Records that a group has not consumed yet; what a transaction that failed left at the end of a topic counts as well. */
  readonly lag: readonly { readonly group: string; readonly topic: string; readonly records: number }[];
  /** Topics that hold dead letters. */
  readonly deadLetters: readonly { readonly topic: string; readonly records: number }[];
  readonly runs: readonly {
    readonly runId: string;
    readonly iteration: number;
    /** 0 where nothing is learned. */
    readonly iterations: number;
    readonly state: 'running' | 'stopped' | 'finished' | 'sampling references';
  }[];
}

/** Every group of the services that has a topic to work off, but for the learners, which share runs. */
export const consumers: readonly (readonly [group: string, topic: Topic])[] = [
  ['policy-sampler', topics.samplingRequests],
  ['reward-scorer', topics.rolloutSampled],
  ['calibrator', topics.rolloutScored],
  ['evaluator-requests', topics.policyVersions],
  ['evaluator', topics.rolloutScored],
];

/** Looks at a stream. @throws InputError if it cannot be reached */
export async function streamOverview(
  services: Services,
  logger: Logger,
  credentials?: StoreCredentials,
): Promise<StreamOverview> {
  const { stream, runs, close } = await openServiceParts('infalign-status', services, logger, credentials);
  try {
    const lag = await Promise.all(
      consumers.map(async ([group, topic]) => {
        const [ends, positions] = await Promise.all([stream.endOffsets(topic), stream.committed(group, topic)]);
        return { group, topic: topic.name, records: sum(ends.map((end, index) => end - positions[index]!)) };
      }),
    );
    const deadLetters: { topic: string; records: number }[] = [];
    for (const topic of allTopics().filter(isDeadLetterTopic)) {
      let records = 0;
      for await (const letter of stream.readAll(topic)) if (letter.offset >= 0) records++;
      if (records > 0) deadLetters.push({ topic: topic.name, records });
    }
    const progress = await Promise.all(
      (await runs.all()).map(async ({ record, experiment, policyRun }) => {
        const iterations = policyRun ? experiment.ppo.iterations : 0;
        const iteration = (await runs.versions(record.runId)).at(-1)?.iteration ?? 0;
        return { runId: record.runId, iteration, iterations, state: stateOf(record.stopped, iteration, iterations) };
      }),
    );
    return { lag, deadLetters, runs: progress };
  } finally {
    await close();
  }
}

function stateOf(stopped: boolean, iteration: number, iterations: number): StreamOverview['runs'][number]['state'] {
  if (iterations === 0) return 'sampling references';
  if (iteration >= iterations) return 'finished';
  return stopped ? 'stopped' : 'running';
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
