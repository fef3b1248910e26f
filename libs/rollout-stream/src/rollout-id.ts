/** What determines a rollout, and so its id: a redelivered request makes the same rollouts under the same ids. */
export interface RolloutIdentity {
  readonly runId: string;
  readonly promptId: string;
  readonly policyVersion: number;
  readonly sampleIndex: number;
}

/** The id of a rollout: `RUN/PROMPT/VERSION/SAMPLE`. */
export function rolloutId({ runId, promptId, policyVersion, sampleIndex }: RolloutIdentity): string {
  return `${runId}/${promptId}/${policyVersion}/${sampleIndex}`;
}
