import type { CalibratedRollout, LearningStatistics, SampledRollout } from '@infalign/contracts';
import { estimateKl, InputError, seededRandom, shuffled, type KlEstimate } from '@infalign/core';
import type { AdamSettings, LanguageModel, OptimiserState, Weights } from '@infalign/language-model';
import {
  clippedImportanceWeights,
  generalisedAdvantages,
  initialTargetKlState,
  leaveOneOutAdvantages,
  linearSchedule,
  tokenRewards,
  updateTargetKl,
  whiten,
  type AdvantageEstimate,
  type TargetKlState,
} from '@infalign/rl';
import { flattened, indicesByPrompt, learningRollouts, unflattened, type LearningRollout } from './batch.js';
import { ppoLoss, type PpoLossSettings } from './ppo-loss.js';

/** How PPO learns. */
export interface PpoSettings extends PpoLossSettings {
  /** Iterations of the whole run: the learning rate rises over the first tenth of them, then decays linearly to zero. */
  readonly iterations: number;
  /** Passes over the rollouts of an iteration. */
  readonly epochs: number;
  /** Optimiser steps a pass. */
  readonly minibatches: number;
  /** Of the iteration in which it is highest. */
  readonly learningRate: number;
  /** Discount a token. */
  readonly gamma: number;
  /** λ of generalised advantage estimation. */
  readonly gaeLambda: number;
  /** Gradients are clipped to this global norm. */
  readonly maxGradientNorm: number;
  /** Importance weights of tokens that an earlier policy has sampled are cut off here; at least 1. */
  readonly maxImportanceWeight: number;
  /**
   * What a rollout is compared with: the mean over its prompt's other rollouts (which needs two or more a prompt, and
   * uses neither gamma, λ nor the value head), or the value head.
   */
  readonly advantages: 'leave_one_out' | 'value';
}

/**
 * Share of a run's iterations over which the learning rate rises. Adam's first steps have the full learning rate in every
 * weight, however noisy the gradient: without a warm-up they are a KL in no direction, which training hardly sheds again.
 */
const warmupShare = 0.1;

/** The KL strength, on the scale of the normalised transformation. */
export type KlStrength =
  | { readonly beta: number }
  /** β is moved until the KL is the target; it begins with the one whose exact optimum has that KL. */
  | { readonly targetKl: number; readonly initialBeta: number };

/** What a learner is made of. */
export interface PpoLearnerParts {
  /** The policy, which learns; with a value head where advantages are taken from it. */
  readonly policy: LanguageModel;
  readonly adam: AdamSettings;
  /** πref. Never changes. */
  readonly reference: LanguageModel;
  readonly settings: PpoSettings;
  readonly klStrength: KlStrength;
  /** Seeds the order in which rollouts are learned from. */
  readonly seed: number;
}

/** All that a learner's future depends on, beside what it is made of. */
export interface PpoSnapshot {
  /** Iterations done. */
  readonly iteration: number;
  readonly weights: Weights;
  readonly optimiser: OptimiserState;
  /** Null where β is fixed. Plain data. */
  readonly targetKl: TargetKlState | null;
}

/** What an iteration did, apart from how its rollouts came. */
export type IterationStatistics = Omit<LearningStatistics, 'staleness' | 'dropped'>;

/** Proximal policy optimisation of one policy, iteration by iteration. */
export interface PpoLearner {
  /** Iterations done. */
  readonly iteration: number;
  /**
   * One iteration: epochs × minibatches optimiser steps on the rollouts, which the policy as it is now has sampled.
   *
   * @throws InputError if a record is incomplete or not finite, temperatures differ, or a prompt has one rollout only
   *   where advantages are taken against the others
   */
  learn(rollouts: readonly CalibratedRollout[]): IterationStatistics;
  snapshot(): PpoSnapshot;
  /** Goes back, or on, to a snapshot: what is learned from there is what would have been learned without a break. */
  restore(snapshot: PpoSnapshot): void;
}

/**
 * A learner of the KL-regularised objective E[R_Φ] − β·KL(π ‖ πref) (InfAlign, arXiv 2412.19792, Eq. 4) by PPO: a KL
 * penalty on every token and the transformed reward on the last, advantages whitened over all tokens of an iteration.
 * Rewards are used as they come: whitening them would rescale Φ, and so change β.
 */
export function createPpoLearner(parts: PpoLearnerParts): PpoLearner {
  const { policy, adam, reference, settings, klStrength, seed } = parts;
  const trainer = policy.trainer(ppoLoss(settings), adam);
  const schedule = {
    peak: 1,
    final: 0,
    warmupSteps: Math.floor(warmupShare * settings.iterations),
    totalSteps: settings.iterations,
  };
  let iteration = 0;
  let targetKl =
    'targetKl' in klStrength
      ? initialTargetKlState(klStrength.targetKl, klStrength.initialBeta, settings.iterations)
      : null;
  return {
    get iteration() {
      return iteration;
    },
    learn(records) {
      const rollouts = learningRollouts(records);
      const sequences = rollouts.map((rollout) => rollout.sequence);
      const { temperature } = sequences[0]!;
      const referenceLogProbs = reference.responseLogProbs(sequences, temperature);
      const relativeRate = linearSchedule(iteration, schedule);
      const kl = responseKl(sequences, referenceLogProbs);
      // What an earlier policy has sampled is learned from as samples of the policy as it is now, by importance.
      const stale = sequences.some(({ policyVersion }) => policyVersion !== iteration);
      const logProbs: readonly ArrayLike<number>[] = stale
        ? policy.responseLogProbs(sequences, temperature)
        : sequences.map((sequence) => sequence.logProbs);
      if (targetKl) {
        // Estimates from rollouts of an earlier policy are of that one.
        const current = stale ? mean(policy.tokenKl(reference, sequences, temperature).map(total)) : kl.k3;
        targetKl = updateTargetKl(targetKl, current, relativeRate);
      }
      const beta = 'beta' in klStrength ? klStrength.beta : targetKl!.beta;
      const rewards = rollouts.map(({ transformedReward }, index) =>
        tokenRewards(logProbs[index]!, referenceLogProbs[index]!, transformedReward, beta),
      );
      const values = settings.advantages === 'value' ? policy.values(sequences) : undefined;
      const estimates = values ? againstValues(rewards, values, settings) : againstOthers(rewards, rollouts);
      const lengths = sequences.map((sequence) => sequence.responseTokens.length);
      const whitened = whiten(flattened(estimates.map((each) => each.advantages)));
      if (stale) {
        const behaviour = flattened(sequences.map((sequence) => sequence.logProbs));
        const weights = clippedImportanceWeights(flattened(logProbs), behaviour, settings.maxImportanceWeight);
        weights.forEach((weight, token) => (whitened[token]! *= weight));
      }
      const advantages = unflattened(whitened, lengths);

      const steps: ReturnType<typeof trainer.step>[] = [];
      for (let epoch = 0; epoch < settings.epochs; epoch++) {
        const order = shuffled([...rollouts.keys()], seededRandom('ppo-order', seed, iteration, epoch));
        for (const indices of split(order, settings.minibatches)) {
          const pick = <Item>(items: readonly Item[]): Item[] => indices.map((index) => items[index]!);
          steps.push(
            trainer.step(
              pick(sequences),
              {
                oldLogProbs: flattened(pick(logProbs)),
                advantages: flattened(pick(advantages)),
                oldValues: flattened(pick(values ?? logProbs)),
                returns: flattened(pick(estimates).map((each) => each.returns)),
              },
              {
                learningRate: relativeRate * settings.learningRate,
                maxGradientNorm: settings.maxGradientNorm,
                temperature,
              },
            ),
          );
        }
      }
      if (targetKl && targetKl.displacementScale !== 1) {
        policy.load(scaledDisplacement(policy.weights(), reference.weights(), targetKl.displacementScale));
      }
      iteration++;
      return {
        iteration,
        rollouts: rollouts.length,
        meanReward: mean(rollouts.map((rollout) => rollout.rawReward)),
        meanCalibratedReward: mean(rollouts.map((rollout) => rollout.calibratedReward)),
        meanTransformedReward: mean(rollouts.map((rollout) => rollout.transformedReward)),
        kl: kl.k1,
        beta,
        clipFraction: mean(steps.map((step) => step.clipFraction)),
        policyLoss: mean(steps.map((step) => step.policyLoss)),
        valueLoss: mean(steps.map((step) => step.valueLoss)),
        gradientNorm: mean(steps.map((step) => step.gradientNorm)),
        responseTokens: mean(lengths),
      };
    },
    snapshot: () => ({ iteration, weights: policy.weights(), optimiser: trainer.optimiserState(), targetKl }),
    restore(snapshot) {
      policy.load(snapshot.weights);
      trainer.load(snapshot.optimiser);
      iteration = snapshot.iteration;
      targetKl = snapshot.targetKl;
    },
  };
}

function againstValues(
  rewards: readonly Float64Array[],
  values: readonly Float32Array[],
  { gamma, gaeLambda }: PpoSettings,
): AdvantageEstimate[] {
  return rewards.map((each, index) => generalisedAdvantages(each, values[index]!, { discount: gamma, gaeLambda }));
}

function againstOthers(rewards: readonly Float64Array[], rollouts: readonly LearningRollout[]): AdvantageEstimate[] {
  const estimates = new Array<AdvantageEstimate>(rewards.length);
  for (const [promptId, indices] of indicesByPrompt(rollouts)) {
    if (indices.length < 2) {
      throw new InputError(
        `Prompt ${promptId} has a single rollout: leave-one-out advantages need two or more, or set advantages to value.`,
      );
    }
    leaveOneOutAdvantages(indices.map((index) => rewards[index]!)).forEach((estimate, position) => {
      estimates[indices[position]!] = estimate;
    });
  }
  return estimates;
}

/**
 * KL(π ‖ πref) in nats a response, estimated at every token and added up: by the chain rule of the KL as unbiased as an
 * estimate from whole responses, and as k3 of far lower variance.
 */
function responseKl(sequences: readonly SampledRollout[], referenceLogProbs: readonly Float32Array[]): KlEstimate {
  const logRatios = sequences.flatMap(({ logProbs }, index) =>
    logProbs.map((logProb, t) => logProb - referenceLogProbs[index]![t]!),
  );
  const { k1, k3 } = estimateKl(logRatios);
  const tokens = logRatios.length / sequences.length;
  return { k1: tokens * k1, k3: tokens * k3 };
}

/** The weights moved along the line from those of the reference; those that it lacks (a value head) stay. */
function scaledDisplacement(weights: Weights, reference: Weights, scale: number): Weights {
  return new Map(
    [...weights].map(([name, { shape, data }]) => {
      const origin = reference.get(name)?.data;
      const moved = origin ? data.map((weight, index) => origin[index]! + scale * (weight - origin[index]!)) : data;
      return [name, { shape, data: moved }];
    }),
  );
}

/** `parts` runs of neighbours, as equal in length as can be; never an empty one. */
function split(order: readonly number[], parts: number): number[][] {
  const count = Math.min(parts, order.length);
  return Array.from({ length: count }, (_, part) =>
    order.slice(Math.floor((part * order.length) / count), Math.floor(((part + 1) * order.length) / count)),
  );
}

function mean(values: readonly number[]): number {
  return total(values) / values.length;
}

function total(values: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < values.length; index++) sum += values[index]!;
  return sum;
}
