import {
  algorithms,
  parseMethod,
  rewardOfMethod,
  seededRandom,
  type MethodReward,
  type Strength,
} from '@infalign/core';
import { experimentHash, type Experiment } from '@infalign/run-config';

/** One policy to train: a method, a KL strength, a seed. */
export interface PolicyRun {
  /** Name of its step. */
  readonly name: string;
  /** How it is trained, as `parseMethod` reads it. */
  readonly method: string;
  /** The KL asked for in nats; undefined where `beta` is given. */
  readonly targetKl: number | undefined;
  /** The fixed KL strength on the normalised scale; undefined where `targetKl` is given. */
  readonly beta: number | undefined;
  readonly seed: number;
}

/** The names of an experiment's steps that are not policy runs, each the name of its folder. */
export const stepNames = {
  text: 'text',
  base: 'base',
  judgeBase: 'judge-base',
  rewardModel: 'reward-model',
  judge: 'judge',
  trainingReferences: 'references/training',
  heldOutReferences: 'references/held-out',
} as const;

/** The checkpoints that an experiment's steps leave, by their names among the experiment's checkpoints. */
export const checkpointNames = {
  text: `${stepNames.text}/text`,
  basePolicy: `${stepNames.base}/model`,
  rewardModel: `${stepNames.rewardModel}/model`,
  judge: `${stepNames.judge}/model`,
} as const;

/** Every policy the experiment trains: by each method at each KL strength with each seed. */
export function policyRuns(experiment: Experiment): PolicyRun[] {
  const { methods, targetKls, betas, seeds } = experiment.runs;
  const strengths = [
    ...(targetKls ?? []).map((targetKl) => ({ targetKl, beta: undefined, label: `kl-${targetKl}` })),
    ...(betas ?? []).map((beta) => ({ targetKl: undefined, beta, label: `beta-${beta}` })),
  ];
  return methods.flatMap((method) =>
    strengths.flatMap(({ targetKl, beta, label }) =>
      seeds.map((seed) => ({
        name: `runs/${method.replaceAll(/[^\w.-]/g, '-')}-${label}-seed-${seed}`,
        method,
        targetKl,
        beta,
        seed,
      })),
    ),
  );
}

/** How strongly a policy is held to the base policy. */
export function strengthOf({ beta, targetKl }: PolicyRun): Strength {
  return beta === undefined ? { kl: targetKl! } : { beta };
}

/** What a policy is trained on, and the β that it begins with. */
export function rewardOfRun(run: PolicyRun): MethodReward {
  return rewardOfMethod(parseMethod(run.method), strengthOf(run));
}

/**
 * How many updates old the rollouts may be that a policy learns from. Where it learns from those of the base policy, so many
 * that all are sampled from it, and at once.
 */
export function stalenessOfRun({ ppo }: Experiment, { method }: PolicyRun): number {
  return algorithms[parseMethod(method).algorithm].learnsFrom === 'policy' ? ppo.maxStaleness : ppo.iterations - 1;
}

/** The experiment's name and what its results depend on, in short: two experiments that differ have different ones. */
export function experimentId(experiment: Experiment): string {
  return `${experiment.name}-${experimentHash(experiment).slice(0, 12)}`;
}

/** The id of the run that carries out a step of an experiment. */
export function runIdOf(experiment: Experiment, step: string): string {
  return `${experimentId(experiment)}/${step}`;
}

/** The seed of a run: of its rollouts, and of the order in which it learns. */
export function runSeed(experiment: Experiment, policyRun: PolicyRun | undefined): number {
  if (!policyRun) return experiment.seed;
  return seededRandom('run', experiment.seed, policyRun.seed, policyRun.name).integer(2 ** 32);
}
