import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CheckpointReference, PolicyVersion, Run } from '@infalign/contracts';
import type { CheckpointStore } from '@infalign/checkpoint';
import { InputError } from '@infalign/core';
import { topics, type RolloutStream } from '@infalign/rollout-stream';
import { followTopic } from './followed-topic.js';
import { pipelineRun, type PipelineRun } from './pipeline-run.js';
import { readStored } from './read-stored.js';
import type { Prompts } from './run-requests.js';
import { textOf } from './stored-text.js';

/** The runs that a stream announces, with their policy versions and prompts. */
export interface Runs {
  /** @throws InputError if no run of that id has been announced, or its record is not one that can be carried out */
  run(runId: string): Promise<PipelineRun>;
  /** All runs that can be carried out, as of now. */
  all(): Promise<PipelineRun[]>;
  /**
   * Where the weights of a run's policy version lie; version 0 is its base policy.
   *
   * @throws InputError if the run has not announced that version
   */
  policy(runId: string, version: number): Promise<CheckpointReference>;
  /** The versions that a run has announced, ascending, as far as they have arrived. */
  versions(runId: string): Promise<PolicyVersion[]>;
  /** The version that a run has announced last, before this call; nothing where it has announced none. */
  latestVersion(runId: string): Promise<PolicyVersion | undefined>;
  /** The prompts of a run. @throws InputError if their checkpoint is gone or damaged; another error if the store is out of reach */
  prompts(run: PipelineRun): Promise<Prompts>;
  close(): Promise<void>;
}

/** Follows the runs of a stream. */
export async function followRuns(stream: RolloutStream, store: CheckpointStore): Promise<Runs> {
  const records = await followTopic(
    stream,
    topics.runs,
    ({ runId }) => runId,
    (_: unknown, record: Run) => record,
  );
  const versions = await followTopic(stream, topics.policyVersions, ({ runId }) => runId, withVersion);
  /** What records say, or why they say nothing that can be carried out. */
  const parsed = new WeakMap<object, PipelineRun | InputError>();
  const promptsByHash = new Map<string, Promise<Prompts>>();

  function understood(record: PipelineRun['record']): PipelineRun | InputError {
    let run = parsed.get(record);
    if (!run) {
      try {
        run = pipelineRun(record);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        run = error;
      }
      parsed.set(record, run);
    }
    return run;
  }

  async function find(runId: string): Promise<PipelineRun> {
    const record = await records.get(runId);
    if (!record) throw new InputError(`Run ${runId} is unknown: no such run has been started here.`);
    const run = understood(record);
    if (run instanceof InputError) throw run;
    return run;
  }

  return {
    run: find,
    async all() {
      const understoodRuns: PipelineRun[] = [];
      for (const record of (await records.all()).values()) {
        // Each takes milliseconds: the rest of the process gets its turn in between.
        if (!parsed.has(record)) await nextTurn();
        const run = understood(record);
        if (!(run instanceof InputError)) understoodRuns.push(run);
      }
      return understoodRuns;
    },
    async policy(runId, version) {
      if (version === 0) return (await find(runId)).record.basePolicy!;
      const isIt = (each: PolicyVersion): boolean => each.version === version;
      const record = (await versions.get(runId, (announced) => announced.some(isIt)))?.find(isIt);
      if (!record) {
        throw new InputError(
          `Run ${runId} has not announced policy version ${version}. Versions are announced before work is dispatched.`,
        );
      }
      return { name: record.checkpoint, contentHash: record.contentHash };
    },
    versions: async (runId) => [...((await versions.all()).get(runId) ?? [])],
    latestVersion: async (runId) => (await versions.settled()).get(runId)?.at(-1),
    prompts({ record }) {
      const { name, contentHash } = record.text!;
      let prompts = promptsByHash.get(contentHash);
      if (!prompts) {
        prompts = readStored(store, record.text!).then((checkpoint) => textOf(checkpoint, name).prompts);
        // What failed is tried again when it is asked for next.
        prompts.catch(() => promptsByHash.delete(contentHash));
        promptsByHash.set(contentHash, prompts);
      }
      return prompts;
    },
    async close() {
      await records.close();
      await versions.close();
    },
  };
}

/** The versions of a run, ascending, with one more or the same anew. */
function withVersion(versions: PolicyVersion[] = [], added: PolicyVersion): PolicyVersion[] {
  const before = versions.findLastIndex(({ version }) => version < added.version);
  const isThere = versions[before + 1]?.version === added.version;
  versions.splice(before + 1, isThere ? 1 : 0, added);
  return versions;
}
