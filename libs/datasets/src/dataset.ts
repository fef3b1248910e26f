/** Turns text into tokens and back: what this library needs of a tokenizer. */
export interface TextCodec {
  encode(text: string): ArrayLike<number>;
  decode(tokens: readonly number[]): string;
}

/** A prompt, as tokens; `text` is what these tokens decode to. */
export interface Prompt {
  /** Tells where in the dataset it comes from; unique within the dataset. */
  readonly id: string;
  readonly tokens: readonly number[];
  readonly text: string;
}

/**
 * Names of the sets of prompts. `reward` and `judge` prompts begin the pairs that the two reward models learn from,
 * `accuracy` prompts those of people's pairs that their accuracy is measured on.
 */
export const promptSetNames = ['train', 'reward', 'judge', 'calibration', 'evaluation', 'accuracy'] as const;

export type PromptSetName = (typeof promptSetNames)[number];

/**
 * No prompt is in two of the sets, nor twice in one; but where people's preferences are wanted, a `reward` or `judge`
 * prompt comes once for each of its pairs.
 */
export type PromptSets = Readonly<Record<PromptSetName, readonly Prompt[]>>;

/** Which prompts are wanted. */
export interface PromptRequest {
  readonly codec: TextCodec;
  /**
   * Length of a prompt: exactly (plain text), or at most (dialogues, of which the last tokens are kept; posts, of which
   * the end is cut off).
   */
  readonly tokens: number;
  readonly counts: Readonly<Record<PromptSetName, number>>;
  readonly seed: number;
  /**
   * Where people's preferences are wanted for the `reward`, `judge` and `accuracy` prompts: the most tokens of a
   * response. Only prompts whose two compared responses differ within them are drawn.
   */
  readonly comparedWithin?: number | undefined;
}

/** Two responses to a prompt, the better one first. Responses are tokens, without end-of-text unless they were given it. */
export interface PreferencePair {
  readonly promptId: string;
  readonly promptTokens: readonly number[];
  readonly chosen: readonly number[];
  readonly rejected: readonly number[];
}

/**
 * Text and prompts. The text is divided once, by whole documents, conversations or posts: `calibration`, `evaluation` and
 * `accuracy` prompts come only from the held-out part, all others from the training part.
 */
export interface Dataset {
  /** What a tokenizer and a language model are trained on; each text is a whole document. */
  readonly trainingTexts: readonly string[];
  /** What a language model is validated on. */
  readonly heldOutTexts: readonly string[];
  /**
   * Draws disjoint sets of prompts; the same request gives the same sets.
   *
   * @throws InputError when the dataset has too few prompts, or no people's preferences though these are asked for
   */
  drawPrompts(request: PromptRequest): PromptSets;
  /**
   * What people preferred, for each of these prompts of this dataset. A response is cut at `maxResponseTokens`; one that
   * is shorter ends with `endOfText`.
   *
   * @throws InputError when the dataset has no people's preferences
   */
  humanPairs(
    prompts: readonly Prompt[],
    options: { readonly codec: TextCodec; readonly maxResponseTokens: number; readonly endOfText: number },
  ): PreferencePair[];
}
