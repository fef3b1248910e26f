import { Purpose, type EvaluationResult, type LearningStatistics, type ScoredRollout } from '@infalign/contracts';
import {
  checkpointNames,
  policyRuns,
  readText,
  runIdOf,
  stepNames,
  type PolicyRun,
  type StoredText,
} from '@infalign/pipeline';
import { topics } from '@infalign/rollout-stream';
import { leftOfEach, type CarriedOutRun } from '../carry-out.js';
import { phraseShare, plantOf, type Plant } from '../planted-phrase.js';
import { rankedResponses, type RankedResponse } from '../ranked-responses.js';
import type { StepBody } from '../step-context.js';
import { shownPrompts, type TrainingReferencesResult } from './references.js';

/** What a policy run leaves, beside its log and its final policy. */
export interface PolicyRunResult {
  readonly run: PolicyRun;
  /** β of the last iteration, on the normalised scale. */
  readonly beta: number;
  readonly training: readonly LearningStatistics[];
  /** One for each evaluation prompt, in the order of the prompts. */
  readonly evaluation: readonly EvaluationResult[];
  /** Responses to the first evaluation prompts. */
  readonly samples: readonly { readonly promptId: string; readonly responses: readonly RankedResponse[] }[];
  /** Of each evaluation prompt, the share of responses that say the planted phrase; only where there is one. */
  readonly phraseShares?: readonly number[];
}

/** Trains one policy by PPO on its transformed calibrated reward, and evaluates it: all five stages over one stream. */
export function policyRunStep(name: string): StepBody {
  return async (context) => {
    const { experiment, folder, carryOut } = context;
    const policyRun = policyRuns(experiment).find((candidate) => candidate.name === name);
    if (!policyRun) throw new Error(`the experiment has no run ${name}`);
    const { states } = folder.result<TrainingReferencesResult>(stepNames.trainingReferences);
    const text = readText(folder.step(checkpointNames.text));
    const plant = plantOf(experiment, text.tokenizer);
    // Stored under the id that the experiment had when they were made: an earlier version of infalign gave it another.
    const runId = runIdOf(experiment, stepNames.trainingReferences);
    const calibration = states.map((state) => ({ ...state, runId }));
    return await carryOut({ step: name, calibration }, context, (run) =>
      collectResult(policyRun, run, text, plant, folder.step(name)),
    );
  };
}

async function collectResult(
  policyRun: PolicyRun,
  { record, stream, history, finalVersion }: CarriedOutRun,
  { prompts, tokenizer }: StoredText,
  plant: Plant | undefined,
  place: string,
): Promise<PolicyRunResult> {
  const { runId, evaluatedFrom, scoredFrom } = record;
  const evaluation = new Map<string, EvaluationResult>();
  for await (const { value } of stream.readAll(topics.evaluationResults, evaluatedFrom)) {
    if (value.runId === runId && value.policyVersion === finalVersion) evaluation.set(value.promptId, value);
  }
  const rollouts = new Map<string, Map<string, ScoredRollout>>(prompts.evaluation.map(({ id }) => [id, new Map()]));
  for await (const { value } of stream.readAll(topics.rolloutScored, scoredFrom)) {
    const { rolloutId, promptId, purpose, policyVersion, ...rollout } = value.rollout!;
    if (rollout.runId !== runId || purpose !== Purpose.PURPOSE_EVALUATION || policyVersion !== finalVersion) continue;
    rollouts.get(promptId)!.set(rolloutId, value);
  }
  const responses = (promptId: string): ScoredRollout[] => [...rollouts.get(promptId)!.values()];
  return {
    run: policyRun,
    beta: history.at(-1)!.beta,
    training: history,
    evaluation: leftOfEach(prompts.evaluation, evaluation, 'evaluation', place),
    samples: prompts.evaluation
      .slice(0, shownPrompts)
      .map(({ id }) => ({ promptId: id, responses: rankedResponses(responses(id), tokenizer) })),
    ...(plant && { phraseShares: prompts.evaluation.map(({ id }) => phraseShare(responses(id), plant, tokenizer)) }),
  };
}
