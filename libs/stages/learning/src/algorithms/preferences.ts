import { InputError, type Arithmetic } from '@infalign/core';
import { bestOfMargin, bonbonLoss, dpoLoss, ipoLoss, type ComparedResponses } from '@infalign/rl';
import { indicesByPrompt } from '../batch.js';
import type { IterationRollouts, LearningAlgorithm, LearningExample } from './algorithm.js';

type PairInput = 'chosenReference' | 'rejectedReference' | 'strength';

/** Two rollouts of one prompt, the better one first. */
type Pair = readonly [better: number, worse: number];

/**
 * REBEL (Gao et al., arXiv 2404.16767, Algorithm 1 with η = 1/β and one step, from πref): of every two rollouts of a prompt, the
 * difference of log-ratios is held to that of the rewards over β. Its optimum is that of the KL-regularised objective.
 */
export function rebel(): LearningAlgorithm<PairInput> {
  return comparison(neighbours, ({ beta, difference }) => difference / beta, ipoLoss);
}

/** Direct preference optimisation (Rafailov et al., arXiv 2305.18290): of every two rollouts of a prompt the better one by the reward. */
export function dpo(): LearningAlgorithm<PairInput> {
  return comparison(neighbours, ({ beta, tied }) => (tied ? undefined : beta), dpoLoss);
}

/** Identity preference optimisation (Azar et al., arXiv 2310.12036): the same pairs, and those that tie are held together. */
export function ipo(): LearningAlgorithm<PairInput> {
  return comparison(neighbours, ({ beta, tied }) => (tied ? 0 : 1 / (2 * beta)), ipoLoss);
}

/**
 * BoNBoN (Gui et al., arXiv 2406.00832): the best and the worst of n rollouts of a prompt, n = 1 + 1/β to the next whole number, but at
 * least 2 and at most as many as the prompt has in an iteration.
 */
export function bonbon(): LearningAlgorithm<PairInput> {
  return comparison(extremes, ({ drawn, tied }) => (tied ? undefined : bestOfMargin(drawn)), bonbonLoss);
}

/** Pairs of rollouts, each the best and the worst of so many. */
interface DrawnPairs {
  readonly pairs: readonly Pair[];
  readonly drawn: number;
}

/** What the strength of a pair is made of. */
interface PairStrength {
  /** On the scale of the transformed rewards. */
  readonly beta: number;
  readonly drawn: number;
  /** Whether the rewards are the same. */
  readonly tied: boolean;
  /** The transformed reward of the better one less that of the worse. */
  readonly difference: number;
}

/**
 * An algorithm that compares responses of the reference policy.
 *
 * @param pairsOf picks pairs among the rollouts of a prompt
 * @param strengthOf what the loss is told of a pair; undefined where it learns nothing from it
 */
function comparison(
  pairsOf: (indices: readonly number[], iteration: IterationRollouts) => DrawnPairs,
  strengthOf: (pair: PairStrength) => number | undefined,
  lossOf: <T>(math: Arithmetic<T>, responses: ComparedResponses<T>, strength: T) => T,
): LearningAlgorithm<PairInput> {
  return {
    loss: {
      inputs: { chosenReference: 'pair', rejectedReference: 'pair', strength: 'pair' },
      compute(math, outputs, { strength, ...references }) {
        return { loss: lossOf(math, { ...outputs.comparedLogProbs(), ...references }, strength) };
      },
    },
    examples(iteration) {
      const { rollouts, referenceLogProbs, beta } = iteration;
      const examples: LearningExample<PairInput>[] = [];
      for (const indices of indicesByPrompt(rollouts).values()) {
        const { pairs, drawn } = pairsOf(indices, iteration);
        for (const [better, worse] of pairs) {
          const tied = rollouts[better]!.rawReward === rollouts[worse]!.rawReward;
          const difference = rollouts[better]!.transformedReward - rollouts[worse]!.transformedReward;
          const strength = strengthOf({ beta, drawn, tied, difference });
          if (strength === undefined) continue;
          examples.push({
            sequences: [rollouts[better]!.sequence, rollouts[worse]!.sequence],
            inputs: {
              chosenReference: [[total(referenceLogProbs[better]!)]],
              rejectedReference: [[total(referenceLogProbs[worse]!)]],
              strength: [[strength]],
            },
          });
        }
      }
      if (examples.length > 0) return examples;
      throw new InputError(
        'No two rollouts of a prompt differ in reward: there is nothing to compare. Sample more a prompt.',
      );
    },
  };
}

/** Every two that stand together. Rollouts of a prompt are independent, so are these pairs. */
function neighbours(indices: readonly number[], { rollouts }: IterationRollouts): DrawnPairs {
  const reward = (index: number): number => rollouts[index]!.rawReward;
  const pairs = groupsOf(indices, 2).map(([a, b]): Pair => (reward(b!) > reward(a!) ? [b!, a!] : [a!, b!]));
  return { pairs, drawn: 2 };
}

function extremes(indices: readonly number[], { rollouts, beta }: IterationRollouts): DrawnPairs {
  const drawn = Math.min(indices.length, Math.max(2, Math.round(1 + 1 / beta)));
  return { pairs: groupsOf(indices, drawn).map((group) => ends(group, rollouts)), drawn };
}

/** The best and the worst of a group; one rollout twice where all tie. */
function ends(group: readonly number[], rollouts: IterationRollouts['rollouts']): Pair {
  const reward = (index: number): number => rollouts[index]!.rawReward;
  return [
    group.reduce((best, index) => (reward(index) > reward(best) ? index : best)),
    group.reduce((worst, index) => (reward(index) < reward(worst) ? index : worst)),
  ];
}

/** Full groups of this size, one after another. */
function groupsOf(indices: readonly number[], size: number): number[][] {
  return Array.from({ length: Math.floor(indices.length / size) }, (_, group) =>
    indices.slice(group * size, (group + 1) * size),
  );
}

function total(values: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < values.length; index++) sum += values[index]!;
  return sum;
}
