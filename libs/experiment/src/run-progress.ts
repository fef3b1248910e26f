import { stepNames, type PipelineRun } from '@infalign/pipeline';
import type { StepContext } from './step-context.js';

/** Tells how far the run of a step is. */
export interface RunProgress {
  /** So many more rollouts have been sampled. */
  sampled(rollouts: number): void;
  /** So many iterations have been learned in all. */
  learned(iterations: number): Promise<void>;
  /** So many more prompts have been evaluated. */
  evaluated(prompts: number): void;
}

/** Progress of a run: its iterations and then its evaluation where a policy is trained, else its rollouts. */
export function runProgress({ record, experiment, policyRun }: PipelineRun, { progress }: StepContext): RunProgress {
  const { prompts, calibration, evaluation, ppo } = experiment;
  let sampled = 0;
  let evaluated = 0;
  const rollouts =
    record.step === stepNames.trainingReferences
      ? prompts.train * calibration.references
      : (prompts.calibration + prompts.evaluation) * calibration.references + prompts.calibration * evaluation.samples;
  return {
    sampled(count) {
      sampled += count;
      if (!policyRun) void progress('sampling reference rollouts', sampled, rollouts);
    },
    async learned(iterations) {
      if (policyRun) await progress('training the policy', iterations, ppo.iterations);
    },
    evaluated(count) {
      evaluated += count;
      if (policyRun && evaluated > 0) void progress('evaluating the policy', evaluated, prompts.evaluation);
    },
  };
}
