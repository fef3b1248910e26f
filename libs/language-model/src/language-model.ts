import type { Arithmetic } from '@infalign/core';
import type { LanguageModelConfig, Weights } from './definition.js';

/** A prompt and a response to it, as token ids of the model; each of at least one token, and together no more than its positions. */
export interface Sequence {
  readonly promptTokens: ArrayLike<number>;
  readonly responseTokens: ArrayLike<number>;
}

/** One response to sample. */
export interface SampleRequest {
  /** Token ids; at least one. */
  readonly promptTokens: ArrayLike<number>;
  /** What its random numbers are seeded by: the same parts give the same response, wherever it stands in a batch. */
  readonly randomSeed: readonly (string | number)[];
}

/** How responses are drawn. */
export interface SamplingSettings {
  /** Divides the logits; greater than 0. */
  readonly temperature: number;
  /** Only the k most probable tokens are drawn; 0 is no limit. */
  readonly topK: number;
  /** Only the most probable tokens that together reach this probability are drawn; in (0, 1], 1 is no limit. */
  readonly topP: number;
  /**
   * Added to the logits after the temperature and before top-k and top-p, one number for every token of the vocabulary, below
   * infinity; a token with −Infinity is not drawn. None by default.
   */
  readonly logitBias?: ArrayLike<number> | undefined;
  /** Length at which a response is cut; at least 1. */
  readonly maxResponseTokens: number;
}

/** One sampled response. */
export interface SampledResponse {
  /** Token ids, end-of-text included where it was drawn. */
  readonly responseTokens: Int32Array;
  /**
   * log π of each token in nats, under the temperature but before the logit bias, top-k and top-p: comparable with
   * `responseLogProbs` of the same weights. With one of these it is not the log-probability of having been drawn.
   */
  readonly logProbs: Float32Array;
  /** Whether the last token is end-of-text. */
  readonly ended: boolean;
}

/**
 * A policy or a reward model, held by whatever executes it. All numbers are 32-bit floats; log-probabilities and
 * divergences are in nats. Results come in the order of the arguments.
 */
export interface LanguageModel {
  readonly config: LanguageModelConfig;
  /**
   * Draws one response for each request. Requests with equal prompts that stand together share the prompt's computation.
   *
   * @throws InputError if the temperature is not above 0, or a token cannot be drawn: weights are not finite, or the logit bias leaves
   *   none, or favours one whose probability is too small for 32 bits
   */
  sample(requests: readonly SampleRequest[], settings: SamplingSettings): SampledResponse[];
  /** log π of every response token given what precedes it, one array a sequence. */
  responseLogProbs(sequences: readonly Sequence[], temperature: number): Float32Array[];
  /** The same of every token of the vocabulary in place of the response token, one array a sequence, shape [response tokens, vocabulary]. */
  logDistributions(sequences: readonly Sequence[], temperature: number): Float32Array[];
  /**
   * KL(this ‖ reference) between the two next-token distributions at every response position, one array a sequence:
   * `Σ_v π(v) (log π(v) − log πref(v))`, both under the temperature.
   */
  tokenKl(reference: LanguageModel, sequences: readonly Sequence[], temperature: number): Float32Array[];
  /** The value head's output in the state before every response token, one array a sequence. */
  values(sequences: readonly Sequence[]): Float32Array[];
  /** The reward head's output at the last token, one number a sequence. */
  rewards(sequences: readonly Sequence[]): Float32Array;
  /** The weights that can be trained, as they are: all of them or, of a model with adapters, adapters and heads. */
  weights(): Weights;
  /** Replaces these weights; others are not looked at. @throws InputError if one is missing or of another shape */
  load(weights: Weights): void;
  /**
   * Something that trains these weights.
   *
   * @param loss what is minimised
   */
  trainer<Input extends string, Statistic extends string>(
    loss: Loss<Input, Statistic>,
    adam: AdamSettings,
  ): Trainer<Input, Statistic>;
  /** Frees the memory of the weights, and of its trainers; neither can be used any more. */
  dispose(): void;
}

/** What a model gives for a batch of n response tokens in s sequences: differentiable, in the order of the sequences. */
export interface TrainingOutputs<T> {
  /** log π of the response tokens, shape [n]. */
  logProbs(): T;
  /** The value head in the states before the response tokens, shape [n]. */
  values(): T;
  /** The reward head at the last tokens, shape [s]. */
  rewards(): T;
  /** The rewards of the first half of the sequences, and of the second half, shape [s/2] each. */
  preferences(): { readonly chosen: T; readonly rejected: T };
  /** log π of the responses, whole, of the first half of the sequences and of the second half, shape [s/2] each. */
  comparedLogProbs(): { readonly chosen: T; readonly rejected: T };
}

/** What there is a number for in a loss's input. */
export type LossInput = 'response token' | 'sequence' | 'pair';

/**
 * A loss, written once for every executor.
 *
 * @typeParam Input names of what comes with every batch
 * @typeParam Statistic names of what is reported beside the loss
 */
export interface Loss<Input extends string = never, Statistic extends string = never> {
  /**
   * What comes with every batch: one number for every response token, shape [n], for every sequence, shape [s], or for every pair
   * of sequences, shape [s/2].
   */
  readonly inputs: Readonly<Record<Input, LossInput>>;
  /** The loss, and statistics; tensors without axes. Called as often as an executor likes. */
  compute<T>(
    math: Arithmetic<T>,
    outputs: TrainingOutputs<T>,
    inputs: Readonly<Record<Input, T>>,
  ): Readonly<Record<Statistic | 'loss', T>>;
}

/** One optimiser step's settings. */
export interface TrainingStep {
  /** Greater than or equal to 0. */
  readonly learningRate: number;
  /** Gradients are scaled down to this global norm where they exceed it. */
  readonly maxGradientNorm: number;
  /** Divides the logits; greater than 0. */
  readonly temperature: number;
}

/** Settings of Adam (Kingma & Ba, arXiv 1412.6980). */
export interface AdamSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** Adam's memory: first and second moments by weight name (prefixed `first.` and `second.`), and the steps done. */
export interface OptimiserState {
  readonly moments: Weights;
  readonly steps: number;
}

/** Trains the weights of one model. */
export interface Trainer<Input extends string = never, Statistic extends string = never> {
  /**
   * One optimiser step.
   *
   * @returns the loss and its statistics, and the gradient norm before clipping
   * @throws InputError if one of loss and norm is not finite: the weights are left as they are
   */
  step(
    sequences: readonly Sequence[],
    inputs: Readonly<Record<Input, Float32Array>>,
    settings: TrainingStep,
  ): Readonly<Record<Statistic | 'loss' | 'gradientNorm', number>>;
  optimiserState(): OptimiserState;
  load(state: OptimiserState): void;
}
