import type { Loss, Sequence } from '@infalign/language-model';
import type { LearningRollout } from '../batch.js';

/** What a learner knows of the rollouts of an iteration. */
export interface IterationRollouts {
  readonly rollouts: readonly LearningRollout[];
  /** log π of their tokens by the policy as it is now, in nats. */
  readonly logProbs: readonly ArrayLike<number>[];
  readonly referenceLogProbs: readonly ArrayLike<number>[];
  /**
   * π as it is now over the policy that sampled, for every token of theirs, cut off at the top: undefined where they are the same.
   */
  readonly importanceWeights: readonly ArrayLike<number>[] | undefined;
  /** What is expected before every token; undefined where the algorithm needs none. */
  readonly values: readonly ArrayLike<number>[] | undefined;
  /** β, on the scale of the transformed rewards. */
  readonly beta: number;
}

/** What minibatches are drawn from: a response, or two of one prompt of which the first is better. */
export interface LearningExample<Input extends string> {
  readonly sequences: readonly [Sequence] | readonly [better: Sequence, worse: Sequence];
  /**
   * What the loss is given. For an input of response tokens, one array for each of the sequences; for one of pairs, one with a
   * single number.
   */
  readonly inputs: Readonly<Record<Input, readonly ArrayLike<number>[]>>;
}

/** What an algorithm does its own way: what it learns from the rollouts of an iteration, and by which loss. */
export interface LearningAlgorithm<Input extends string = string> {
  /** Reports as statistics what there is of `policyLoss`, `valueLoss` and `clipFraction`. */
  readonly loss: Loss<Input, string>;
  /** Where the values come from that it needs: a head of the policy, which its loss trains, or a critic, which learns its `returns`. */
  readonly valuesFrom?: 'policy' | 'critic' | undefined;
  /** @throws InputError if the rollouts are not such as it can learn from */
  examples(iteration: IterationRollouts): LearningExample<Input>[];
}
