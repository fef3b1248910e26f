import type { DeadLetter } from '@infalign/contracts';
import {
  isDeadLetterTopic,
  isPoison,
  topics,
  type ConsumedRecord,
  type GroupMember,
  type OutgoingRecord,
  type PoisonRecord,
  type RecordPosition,
  type RolloutStream,
  type StreamWriter,
  type Topic,
} from '@infalign/rollout-stream';
import {
  activeSpan,
  isSampled,
  withinSpan,
  type AttributesOf,
  type Logger,
  type Telemetry,
  type TraceSpan,
} from '@infalign/telemetry';
import { finishedRollouts, isOf, purposeName, rolloutOf, subjectOf, type TopicRecord } from './rollouts-of-records.js';

/** Who watches a stream. */
export interface StreamObserver {
  readonly telemetry: Telemetry;
  readonly logger: Logger;
  /** The service that uses the stream: what it does outside of its consumer groups goes under this name. */
  readonly service: string;
}

/**
 * A stream that tells what is done with it, and is otherwise the same: what is read and written are the same records.
 *
 * Every sampling request begins a trace when it is appended. A transaction has a span in each trace that a consumed record
 * came with, from the reading to the commit; records that it appends go on in the trace of what they are made of, and what a
 * learner announces in that of the iteration.
 */
export function observedStream(stream: RolloutStream, observer: StreamObserver): RolloutStream {
  const { telemetry, service } = observer;
  if (!telemetry.enabled)
    return { ...stream, join: async (group, topic) => loggingMember(await stream.join(group, topic), group, observer) };
  return {
    ...stream,
    join: async (group, topic) => observedMember(await stream.join(group, topic), group, topic, observer),
    async follow(topic, from) {
      const reader = await stream.follow(topic, from);
      // The learner reads its rollouts so; what else is followed is the state of things, and no work.
      if (topic.name !== topics.rolloutCalibrated.name) return reader;
      return {
        ...reader,
        async read(maxRecords) {
          const records = await reader.read(maxRecords);
          if (records.length > 0) telemetry.record('infalign.records.consumed', records.length, place(service, topic));
          return records;
        },
      };
    },
    writer: async (name) => {
      const writer = await stream.writer(name);
      return { ...writer, append: (outputs) => appended(outputs, (traced) => writer.append(traced), observer) };
    },
    append: (outputs) => appended(outputs, (traced) => stream.append(traced), observer),
  };
}

/** Appends in no group. */
async function appended(
  outputs: readonly OutgoingRecord[],
  append: StreamWriter['append'],
  { telemetry, service }: StreamObserver,
): Promise<void> {
  const start = performance.now();
  const { records, began } = traced(outputs, new Map(), activeSpan(), telemetry);
  await ended(began, () => append(records));
  telemetry.record('infalign.transaction.duration', (performance.now() - start) / 1000, { 'infalign.stage': service });
  countProduced(outputs, service, telemetry);
}

function loggingMember<T>(member: GroupMember<T>, group: string, { logger }: StreamObserver): GroupMember<T> {
  return {
    ...member,
    async commit(partition, consumed, outputs) {
      await member.commit(partition, consumed, outputs);
      logDeadLetters(consumed, outputs, group, logger);
    },
  };
}

function observedMember<T>(
  member: GroupMember<T>,
  group: string,
  topic: Topic<T>,
  { telemetry, logger }: StreamObserver,
): GroupMember<T> {
  const stage = { 'infalign.stage': group };
  const input = place(group, topic);
  /** By partition, when the records were read that are worked on. */
  const readAt = new Map<number, { readonly epoch: number; readonly clock: number }>();
  // Those who learn of a table's changes are never done with it.
  if (!topic.compacted) telemetry.record('infalign.dead_letters', 0, input);
  const stopObserving = topic.compacted
    ? () => undefined
    : telemetry.observe('infalign.consumer.lag', async () =>
        Array.from(await member.lag(), ([partition, value]) => ({
          value,
          attributes: { ...input, 'messaging.destination.partition.id': partition },
        })),
      );

  return {
    ...member,
    async read(partition, maxRecords) {
      const records = await member.read(partition, maxRecords);
      if (records.length > 0) readAt.set(partition, { epoch: Date.now(), clock: performance.now() });
      return records;
    },

    async commit(partition, consumed, outputs) {
      const start = performance.now();
      const began = readAt.get(partition);
      const records = decoded(consumed);
      const spans = transactionSpans(records, group, partition, began?.epoch ?? Date.now(), telemetry);
      const cause = [...new Set(spans.values())];
      const { records: sent, began: requests } = traced(outputs, spans, cause[0], telemetry);
      await ended([...cause, ...requests], () => member.commit(partition, consumed, sent));
      const end = performance.now();
      if (began) telemetry.record('infalign.processing.duration', (start - began.clock) / 1000, stage);
      telemetry.record('infalign.transaction.duration', (end - start) / 1000, stage);
      telemetry.record('infalign.records.consumed', consumed.length, input);
      countProduced(outputs, group, telemetry);
      countRollouts(records, outputs, group, telemetry);
      tellOfValues(outputs, telemetry);
      logDeadLetters(consumed, outputs, group, logger, cause[0]);
    },

    async leave() {
      stopObserving();
      await member.leave();
    },
  };
}

function place(stage: string, topic: Pick<Topic, 'name'>) {
  return { 'infalign.stage': stage, 'messaging.destination.name': topic.name };
}

/** Those of the records that were read and understood. */
function decoded(consumed: readonly RecordPosition[]): ConsumedRecord[] {
  return (consumed as readonly (ConsumedRecord | PoisonRecord)[]).filter(
    (record): record is ConsumedRecord => !isPoison(record) && 'value' in record,
  );
}

/**
 * Starts a span in each trace that records came with.
 *
 * @returns by what the records are about
 */
function transactionSpans(
  records: readonly ConsumedRecord[],
  group: string,
  partition: number,
  startTime: number,
  telemetry: Telemetry,
): Map<string, TraceSpan> {
  const byTrace = new Map<string, { readonly span: TraceSpan; count: number }>();
  const bySubject = new Map<string, TraceSpan>();
  for (const record of records) {
    const { topic, offset, trace } = record;
    if (trace === undefined || !isSampled(trace)) continue;
    let known = byTrace.get(trace);
    if (known) known.count++;
    else {
      const span = telemetry.startSpan(`process ${topic.name}`, {
        kind: 'consumer',
        parent: trace,
        startTime,
        attributes: {
          ...messaging(topic, 'process'),
          'messaging.consumer.group.name': group,
          'messaging.destination.partition.id': String(partition),
          'messaging.kafka.offset': offset,
          ...promptAttributes(record),
        },
      });
      if (!span) continue;
      byTrace.set(trace, (known = { span, count: 1 }));
    }
    bySubject.set(subjectOf(record) ?? trace, known.span);
  }
  for (const { span, count } of byTrace.values()) span.set({ 'messaging.batch.message_count': count });
  return bySubject;
}

/** Records with the traces that they belong to, and the spans of those that begin one. */
function traced(
  outputs: readonly OutgoingRecord[],
  spans: ReadonlyMap<string, TraceSpan>,
  cause: TraceSpan | undefined,
  telemetry: Telemetry,
): { readonly records: readonly OutgoingRecord[]; readonly began: readonly TraceSpan[] } {
  const began: TraceSpan[] = [];
  const records = outputs.map((output) => {
    let span: TraceSpan | undefined;
    if (output.topic.name === topics.samplingRequests.name) {
      span = telemetry.startSpan(`send ${output.topic.name}`, {
        kind: 'producer',
        links: cause ? [cause.traceparent] : [],
        attributes: { ...messaging(output.topic, 'send'), ...promptAttributes(output) },
      });
      if (span) began.push(span);
    } else if (output.topic.name === topics.policyVersions.name) span = cause;
    else if (spans.size > 0) span = spans.get(subjectOf(output) ?? '');
    return span ? { ...output, trace: span.traceparent } : output;
  });
  return { records, began };
}

function messaging(topic: Topic, operation: 'process' | 'send') {
  return {
    'messaging.system': 'kafka',
    'messaging.destination.name': topic.name,
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
  };
}

function promptAttributes(record: TopicRecord): Record<string, string | number> {
  const subject = subjectOf(record);
  if (subject === undefined) return {};
  const [runId, promptId, policyVersion] = JSON.parse(subject) as [string, string, number];
  return { 'infalign.run.id': runId, 'infalign.prompt.id': promptId, 'infalign.policy.version': policyVersion };
}

/** Ends spans when the work is done. */
async function ended(spans: readonly TraceSpan[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    for (const span of spans) span.fail(error instanceof Error ? error.name : 'failed');
    throw error;
  } finally {
    for (const span of spans) span.end();
  }
}

function countProduced(outputs: readonly OutgoingRecord[], stage: string, telemetry: Telemetry): void {
  const produced = new Map<string, number>();
  for (const { topic, value } of outputs) {
    produced.set(topic.name, (produced.get(topic.name) ?? 0) + 1);
    if (!isDeadLetterTopic(topic)) continue;
    telemetry.record('infalign.dead_letters', 1, place(stage, { name: (value as DeadLetter).topic }));
  }
  for (const [name, count] of produced) telemetry.record('infalign.records.produced', count, place(stage, { name }));
}

function countRollouts(
  consumed: readonly ConsumedRecord[],
  outputs: readonly OutgoingRecord[],
  stage: string,
  telemetry: Telemetry,
): void {
  for (const { runId, purpose, rollouts, tokens } of finishedRollouts(consumed, outputs)) {
    const attributes = { 'infalign.stage': stage, 'infalign.run.id': runId, 'infalign.purpose': purpose };
    telemetry.record('infalign.rollouts', rollouts, attributes);
    telemetry.record('infalign.tokens', tokens, attributes);
  }
}

/** Rewards, drifts and KL, as records have them. */
function tellOfValues(outputs: readonly OutgoingRecord[], telemetry: Telemetry): void {
  const rawRewards = means<AttributesOf<'infalign.reward.raw'>>();
  const kls = means<AttributesOf<'infalign.evaluation.kl'>>();
  for (const output of outputs) {
    if (isOf(output, topics.rolloutScored)) {
      const { runId, purpose } = output.value.rollout!;
      rawRewards.add(`${runId} ${purpose}`, output.value.reward!.reward, {
        'infalign.run.id': runId,
        'infalign.purpose': purposeName(purpose),
      });
    } else if (isOf(output, topics.rolloutCalibrated)) {
      const { runId, purpose } = output.value.scored!.rollout!;
      const attributes = { 'infalign.run.id': runId, 'infalign.purpose': purposeName(purpose) };
      telemetry.record('infalign.reward.calibrated', output.value.calibratedReward, attributes);
    } else if (isOf(output, topics.calibrationEvents)) {
      const drifts = output.value.drift ? 1 : 0;
      telemetry.record('infalign.calibration.drifts', drifts, { 'infalign.run.id': output.value.runId });
    } else if (isOf(output, topics.evaluationResults)) {
      const { runId, klExact } = output.value;
      kls.add(runId, klExact, { 'infalign.run.id': runId });
    }
  }
  for (const { mean, attributes } of rawRewards.all()) telemetry.record('infalign.reward.raw', mean, attributes);
  for (const { mean, attributes } of kls.all()) telemetry.record('infalign.evaluation.kl', mean, attributes);
}

/** Means of values that go together. */
function means<Attributes>() {
  const sums = new Map<string, { sum: number; count: number; readonly attributes: Attributes }>();
  return {
    add(key: string, value: number, attributes: Attributes): void {
      const known = sums.get(key);
      if (!known) sums.set(key, { sum: value, count: 1, attributes });
      else {
        known.sum += value;
        known.count++;
      }
    },
    all: () => [...sums.values()].map(({ sum, count, attributes }) => ({ mean: sum / count, attributes })),
  };
}

/** One line a transaction: how many there are, and the first of them. */
function logDeadLetters(
  consumed: readonly RecordPosition[],
  outputs: readonly OutgoingRecord[],
  stage: string,
  logger: Logger,
  span?: TraceSpan,
): void {
  const letters = outputs.filter(({ topic }) => isDeadLetterTopic(topic)).map(({ value }) => value as DeadLetter);
  const [first] = letters;
  if (!first) return;
  const { topic, partition, offset, reason } = first;
  const record = decoded(consumed).find((each) => each.offset === offset && each.topic.name === topic);
  const about = record && (isOf(record, topics.samplingRequests) ? record.value : rolloutOf(record));
  const ids = about && { runId: about.runId, promptId: about.promptId, promptTokens: about.promptTokens };
  const fields = { stage, deadLetters: letters.length, topic, partition, offset, reason, ...ids };
  withinSpan(span, () => logger.warn(fields, 'records could not be used'));
}
