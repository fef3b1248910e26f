import { Purpose, type SampledRollout } from '@infalign/contracts';
import { isFrom, topics, type ConsumedRecord, type OutgoingRecord, type Topic } from '@infalign/rollout-stream';

/** A record's topic and value, whether it was read or is to be appended. */
export type TopicRecord = Pick<ConsumedRecord, 'topic' | 'value'>;

/** Rollouts that records are about, as they are counted. */
export interface CountedRollouts {
  readonly runId: string;
  readonly purpose: string;
  readonly rollouts: number;
  /** Response tokens. */
  readonly tokens: number;
}

const purposes: Readonly<Record<Purpose, string>> = {
  [Purpose.PURPOSE_UNSPECIFIED]: 'unspecified',
  [Purpose.PURPOSE_REFERENCE]: 'reference',
  [Purpose.PURPOSE_TRAINING]: 'training',
  [Purpose.PURPOSE_EVALUATION]: 'evaluation',
};

/** What rollouts are for, as metrics have it. */
export function purposeName(purpose: Purpose): string {
  return purposes[purpose];
}

/** The rollout in a record of one of the topics of rollouts. */
export function rolloutOf(record: TopicRecord): SampledRollout | undefined {
  if (isOf(record, topics.rolloutSampled)) return record.value;
  if (isOf(record, topics.rolloutScored)) return record.value.rollout;
  if (isOf(record, topics.rolloutCalibrated)) return record.value.scored!.rollout;
  return undefined;
}

/**
 * What a record is about, as far as it belongs to a prompt's way from its request to what is learned or measured: run,
 * prompt and policy version. Of the records of a transaction, those that are about the same belong to one trace.
 */
export function subjectOf(record: TopicRecord): string | undefined {
  const isRequest = isOf(record, topics.samplingRequests) || isOf(record, topics.evaluationResults);
  const about = isRequest
    ? record.value
    : isOf(record, topics.calibrationHeld)
      ? record.value.scored!.rollout
      : rolloutOf(record);
  return about && JSON.stringify([about.runId, about.promptId, about.policyVersion]);
}

/**
 * The rollouts that a stage is done with by a transaction, by run and purpose: those that it has handed on, the references
 * that it has taken in, or those that it has measured.
 */
export function finishedRollouts(
  consumed: readonly TopicRecord[],
  outputs: readonly OutgoingRecord[],
): CountedRollouts[] {
  const counts = new Map<string, { runId: string; purpose: string; rollouts: number; tokens: number }>();
  const count = (runId: string, purpose: Purpose, rollouts: number, tokens: number): void => {
    const key = `${purpose} ${runId}`;
    const known = counts.get(key) ?? { runId, purpose: purposeName(purpose), rollouts: 0, tokens: 0 };
    counts.set(key, { ...known, rollouts: known.rollouts + rollouts, tokens: known.tokens + tokens });
  };
  const countOne = ({ runId, purpose, responseTokens }: SampledRollout): void =>
    count(runId, purpose, 1, responseTokens.length);
  let changesCalibration = false;
  for (const output of outputs) {
    if (output.removes) continue;
    const rollout = rolloutOf(output);
    if (rollout) countOne(rollout);
    else if (isOf(output, topics.evaluationResults)) {
      const { runId, rewards, responseTokens } = output.value;
      count(runId, Purpose.PURPOSE_EVALUATION, rewards.length, Math.round(rewards.length * responseTokens));
    } else if (output.topic.name === topics.calibrationState.name) changesCalibration = true;
  }
  if (changesCalibration) {
    for (const record of consumed) {
      const rollout = rolloutOf(record);
      if (rollout?.purpose === Purpose.PURPOSE_REFERENCE) countOne(rollout);
    }
  }
  return [...counts.values()];
}

/** Whether a record is one of that topic; narrows its type. */
export function isOf<T>(record: TopicRecord, topic: Topic<T>): record is { topic: Topic; value: T } {
  return isFrom(record as ConsumedRecord, topic);
}
