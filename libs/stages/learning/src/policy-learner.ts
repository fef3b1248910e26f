import type { CalibratedRollout, LearningStatistics } from '@infalign/contracts';
import { estimateKl, mean, seededRandom, shuffled, type KlEstimate } from '@infalign/core';
import type { AdamSettings, LanguageModel, Loss, OptimiserState, Sequence, Weights } from '@infalign/language-model';
import {
  clippedImportanceWeights,
  initialTargetKlState,
  linearSchedule,
  offPolicyKl,
  updateTargetKl,
  valueLoss,
  type TargetKlState,
} from '@infalign/rl';
import type { LearningAlgorithm, LearningExample } from './algorithms/algorithm.js';
import { flattened, indicesByPrompt, learningRollouts, type LearningRollout } from './batch.js';

/** How a policy learns, whatever the algorithm. */
export interface LearningSettings {
  /** Iterations of the whole run: the learning rate rises over the first tenth of them, then decays linearly to zero. */
  readonly iterations: number;
  /** Passes over the rollouts of an iteration. */
  readonly epochs: number;
  /** Optimiser steps a pass. */
  readonly minibatches: number;
  /** Of the iteration in which it is highest. */
  readonly learningRate: number;
  /** Gradients are clipped to this global norm. */
  readonly maxGradientNorm: number;
  /** Of the critic. */
  readonly criticLearningRate: number;
  /** Importance weights of tokens that an earlier policy has sampled are cut off here; at least 1. */
  readonly maxImportanceWeight: number;
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
  | {
      readonly targetKl: number;
      readonly initialBeta: number;
      /** Whether `initialBeta` is in standard deviations of the first iteration's rewards, as where their scale is not known. */
      readonly perDeviation?: boolean;
    };

/** What a learner is made of. */
export interface PolicyLearnerParts {
  readonly algorithm: LearningAlgorithm;
  /** The policy, which learns; with a value head where advantages are taken from it. */
  readonly policy: LanguageModel;
  readonly adam: AdamSettings;
  /** πref. Never changes. */
  readonly reference: LanguageModel;
  /** A model with a value head; where advantages are taken from it. It learns too. */
  readonly critic?: LanguageModel | undefined;
  readonly settings: LearningSettings;
  readonly klStrength: KlStrength;
  /** Seeds the order in which rollouts are learned from. */
  readonly seed: number;
}

/** All that a learner's future depends on, beside what it is made of. */
export interface LearnerSnapshot {
  /** Iterations done. */
  readonly iteration: number;
  readonly weights: Weights;
  readonly optimiser: OptimiserState;
  /** Where there is one. */
  readonly critic?: Pick<LearnerSnapshot, 'weights' | 'optimiser'> | undefined;
  /** Null where β is fixed. Plain data. */
  readonly targetKl: TargetKlState | null;
}

/** What an iteration did, apart from how its rollouts came. */
export type IterationStatistics = Omit<LearningStatistics, 'staleness' | 'dropped'>;

/** Trains one policy, iteration by iteration. */
export interface PolicyLearner {
  /** Iterations done. */
  readonly iteration: number;
  /**
   * One iteration: epochs × minibatches optimiser steps on the rollouts. Those that another policy than this one as it is now has
   * sampled are learned from by importance, where the algorithm samples from the policy.
   *
   * @param policyVersion what this policy is called as it is now. Default: the iterations done
   * @throws InputError if a record is incomplete or not finite, temperatures differ, or a prompt has fewer rollouts than the
   *   algorithm compares
   */
  learn(rollouts: readonly CalibratedRollout[], policyVersion?: number): IterationStatistics;
  snapshot(): LearnerSnapshot;
  /** Goes back, or on, to a snapshot: what is learned from there is what would have been learned without a break. */
  restore(snapshot: LearnerSnapshot): void;
}

/** A learner of the KL-regularised objective E[R_Φ] − β·KL(π ‖ πref) (InfAlign, arXiv 2412.19792, Eq. 4). */
export function createPolicyLearner(parts: PolicyLearnerParts): PolicyLearner {
  const { algorithm, policy, adam, reference, critic, settings, klStrength, seed } = parts;
  const { loss } = algorithm;
  const trainer = policy.trainer(loss, adam);
  const criticTrainer = critic?.trainer(criticLoss, adam);
  const valuesOf = algorithm.valuesFrom && (algorithm.valuesFrom === 'policy' ? policy : critic);
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
    learn(records, policyVersion = iteration) {
      const rollouts = learningRollouts(records);
      const sequences = rollouts.map((rollout) => rollout.sequence);
      const { temperature } = sequences[0]!;
      const referenceLogProbs = reference.responseLogProbs(sequences, temperature);
      const relativeRate = linearSchedule(iteration, schedule);
      const behaviour = sequences.map((sequence) => sequence.logProbs);
      const isOnPolicy = sequences.every((sequence) => sequence.policyVersion === policyVersion);
      const logProbs: readonly ArrayLike<number>[] = isOnPolicy
        ? behaviour
        : policy.responseLogProbs(sequences, temperature);
      const kl = isOnPolicy
        ? responseKl(logRatios(behaviour, referenceLogProbs))
        : only(offPolicyKl(policy.tokenKl(reference, sequences, temperature), logRatios(logProbs, behaviour)));
      if (iteration === 0 && 'targetKl' in klStrength && klStrength.perDeviation) {
        const initialBeta = klStrength.initialBeta * deviationWithinPrompts(rollouts);
        targetKl = initialTargetKlState(klStrength.targetKl, initialBeta, settings.iterations);
      }
      if (targetKl) targetKl = updateTargetKl(targetKl, kl.k3, relativeRate);
      const beta = 'beta' in klStrength ? klStrength.beta : targetKl!.beta;
      const examples = algorithm.examples({
        rollouts,
        logProbs,
        referenceLogProbs,
        importanceWeights: isOnPolicy
          ? undefined
          : logProbs.map((own, index) =>
              clippedImportanceWeights(own, behaviour[index]!, settings.maxImportanceWeight),
            ),
        values: valuesOf?.values(sequences),
        beta,
      });

      const steps: Readonly<Record<string, number>>[] = [];
      for (let epoch = 0; epoch < settings.epochs; epoch++) {
        const order = shuffled(examples, seededRandom('ppo-order', seed, iteration, epoch));
        for (const minibatch of split(order, settings.minibatches)) {
          const { sequences: together, inputs } = batchOf(minibatch, Object.keys(loss.inputs));
          const { learningRate, criticLearningRate, maxGradientNorm } = settings;
          const common = { maxGradientNorm, temperature };
          const step = trainer.step(together, inputs, { ...common, learningRate: relativeRate * learningRate });
          const valueStep = criticTrainer?.step(
            together,
            { returns: inputs['returns']! },
            { ...common, learningRate: criticLearningRate },
          );
          steps.push({ ...step, ...(valueStep && { valueLoss: valueStep.loss }) });
        }
      }
      if (targetKl && targetKl.displacementScale !== 1) {
        policy.load(scaledDisplacement(policy.weights(), reference.weights(), targetKl.displacementScale));
      }
      iteration++;
      const meanOf = (value: (rollout: LearningRollout) => number): number => mean(rollouts.map(value));
      return {
        iteration,
        rollouts: rollouts.length,
        meanReward: meanOf((rollout) => rollout.rawReward),
        meanCalibratedReward: meanOf((rollout) => rollout.calibratedReward),
        meanTransformedReward: meanOf((rollout) => rollout.transformedReward),
        kl: kl.k1,
        beta,
        clipFraction: mean(steps.map((step) => step['clipFraction'] ?? 0)),
        policyLoss: mean(steps.map((step) => step['policyLoss'] ?? step['loss']!)),
        valueLoss: mean(steps.map((step) => step['valueLoss'] ?? 0)),
        gradientNorm: mean(steps.map((step) => step['gradientNorm']!)),
        responseTokens: mean(behaviour.map(({ length }) => length)),
      };
    },
    snapshot: () => ({
      iteration,
      weights: policy.weights(),
      optimiser: trainer.optimiserState(),
      critic: critic && { weights: critic.weights(), optimiser: criticTrainer!.optimiserState() },
      targetKl,
    }),
    restore(snapshot) {
      policy.load(snapshot.weights);
      trainer.load(snapshot.optimiser);
      if (critic && snapshot.critic) {
        critic.load(snapshot.critic.weights);
        criticTrainer!.load(snapshot.critic.optimiser);
      }
      iteration = snapshot.iteration;
      targetKl = snapshot.targetKl;
    },
  };
}

const criticLoss: Loss<'returns'> = {
  inputs: { returns: 'response token' },
  compute: (math, outputs, { returns }) => ({ loss: valueLoss(math, outputs.values(), returns) }),
};

/** What a training step is given: of pairs the better responses first, then the worse ones in the same order. */
function batchOf(
  examples: readonly LearningExample<string>[],
  names: readonly string[],
): { readonly sequences: Sequence[]; readonly inputs: Record<string, Float32Array> } {
  const places = examples[0]!.sequences.map((_, place) => place);
  const inEachPlace = <Item>(pick: (example: LearningExample<string>, place: number) => Item | undefined): Item[] =>
    places.flatMap((place) => examples.map((example) => pick(example, place)).filter((item) => item !== undefined));
  return {
    sequences: inEachPlace(({ sequences }, place) => sequences[place]),
    inputs: Object.fromEntries(
      names.map((name) => [name, flattened(inEachPlace(({ inputs }, place) => inputs[name]![place]))]),
    ),
  };
}

/** Standard deviation of the transformed rewards around the mean of their prompt; 1 where they do not differ. */
function deviationWithinPrompts(rollouts: readonly LearningRollout[]): number {
  let squares = 0;
  for (const indices of indicesByPrompt(rollouts).values()) {
    const rewards = indices.map((index) => rollouts[index]!.transformedReward);
    const center = mean(rewards);
    for (const reward of rewards) squares += (reward - center) ** 2;
  }
  return Math.sqrt(squares / rollouts.length) || 1;
}

/** log π − log μ of every token. */
function logRatios(logProbs: readonly ArrayLike<number>[], others: readonly ArrayLike<number>[]): Float64Array[] {
  return logProbs.map((own, index) => Float64Array.from(own, (logProb, token) => logProb - others[index]![token]!));
}

/**
 * KL(π ‖ πref) in nats a response, estimated at every token and added up: by the chain rule of the KL as unbiased as an
 * estimate from whole responses, and as k3 of far lower variance.
 */
function responseKl(logRatios: readonly Float64Array[]): KlEstimate {
  const { k1, k3 } = estimateKl(logRatios.flatMap((each) => [...each]));
  const tokens = logRatios.reduce((sum, { length }) => sum + length, 0) / logRatios.length;
  return { k1: tokens * k1, k3: tokens * k3 };
}

/** One estimate in place of either. */
function only(kl: number): KlEstimate {
  return { k1: kl, k3: kl };
}

/**
 * The weights moved along the line from those of the reference; those that it lacks stay (a value head), but for one factor of an
 * adapter, which is what is added to those of the reference.
 */
function scaledDisplacement(weights: Weights, reference: Weights, scale: number): Weights {
  return new Map(
    [...weights].map(([name, { shape, data }]) => {
      const origin = reference.get(name)?.data;
      if (origin) return [name, { shape, data: data.map((w, index) => origin[index]! + scale * (w - origin[index]!)) }];
      return [name, { shape, data: name.endsWith('.lora_B.weight') ? data.map((w) => scale * w) : data }];
    }),
  );
}

/** `parts` runs of neighbours, as equal in length as can be; never an empty one. */
function split<Item>(order: readonly Item[], parts: number): Item[][] {
  const count = Math.min(parts, order.length);
  return Array.from({ length: count }, (_, part) =>
    order.slice(Math.floor((part * order.length) / count), Math.floor(((part + 1) * order.length) / count)),
  );
}
