import type { Experiment } from '@infalign/run-config';
import type { Step } from './scheduler.js';

/** One policy to train: a transformation, a KL strength, a seed. */
export interface PolicyRun {
  /** Name of its step and folder, and its run id in every record. */
  readonly name: string;
  readonly transform: string;
  /** The KL asked for in nats; undefined where `beta` is given. */
  readonly targetKl: number | undefined;
  /** The fixed KL strength on the normalised scale; undefined where `targetKl` is given. */
  readonly beta: number | undefined;
  readonly seed: number;
}

/** The names of the steps that are not policy runs, each the name of its folder. */
export const stepNames = {
  text: 'text',
  base: 'base',
  judgeBase: 'judge-base',
  rewardModel: 'reward-model',
  judge: 'judge',
  trainingReferences: 'references/training',
  heldOutReferences: 'references/held-out',
} as const;

/** Every policy the experiment trains: each transformation at each KL strength with each seed. */
export function policyRuns(experiment: Experiment): PolicyRun[] {
  const { transforms, targetKls, betas, seeds } = experiment.runs;
  const strengths = [
    ...(targetKls ?? []).map((targetKl) => ({ targetKl, beta: undefined, label: `kl-${targetKl}` })),
    ...(betas ?? []).map((beta) => ({ targetKl: undefined, beta, label: `beta-${beta}` })),
  ];
  return transforms.flatMap((transform) =>
    strengths.flatMap(({ targetKl, beta, label }) =>
      seeds.map((seed) => ({
        name: `runs/${transform.replaceAll(':', '-')}-${label}-seed-${seed}`,
        transform,
        targetKl,
        beta,
        seed,
      })),
    ),
  );
}

/** The steps of an experiment on one machine, in an order in which each follows what it depends on. */
export function planSteps(experiment: Experiment): Step[] {
  const step = (name: string, ...dependsOn: string[]): Step => ({ name, dependsOn });
  const { text, base, judgeBase, rewardModel, judge, trainingReferences, heldOutReferences } = stepNames;
  return [
    step(text),
    step(base, text),
    step(judgeBase, text),
    step(judge, base, judgeBase),
    step(rewardModel, base),
    step(heldOutReferences, rewardModel, judge),
    step(trainingReferences, rewardModel),
    ...policyRuns(experiment).map((run) => step(run.name, trainingReferences, heldOutReferences)),
  ];
}
