import type { LanguageModelConfig } from '../definition.js';
import type { Sequence } from '../language-model.js';
import { checkSequences, promptKey } from '../token-sequences.js';

/**
 * Sequences laid out for one pass of a graph, without padding but in attention: the tokens of prompts and of responses stand one
 * after another, and a prompt that several responses share stands there once.
 *
 * Attention works on *places* in grids: for prompts [groups, heads, promptTime], for responses [groups, heads, samples,
 * responseTime]. A group is a prompt and up to `samples` of its responses. Where sequences stand whole, each is a group of its own in
 * the grid of prompts, its response behind the prompt, and there is no grid of responses: attention is one product over whole sequences.
 */
export interface SharedBatch {
  /** Whether sequences stand whole. */
  readonly whole: boolean;
  readonly groups: number;
  readonly promptTime: number;
  readonly samples: number;
  readonly responseTime: number;
  /** Shape [n]: prompts first, then responses. */
  readonly tokens: Int32Array;
  /** The position of each token in its sequence, shape [n]. */
  readonly positions: Int32Array;
  /** For every place of a query or a key, its row: `token · (heads + keyValueHeads) + head`. Places that stay empty show row 0. */
  readonly queryKeySource: Int32Array;
  /** For every such row, its place: queries of prompts, keys of prompts, queries of responses, keys of responses. */
  readonly queryKeyTarget: Int32Array;
  /** The same for values: rows `token · keyValueHeads + head`, places of prompts and then of responses. */
  readonly valueSource: Int32Array;
  readonly valueTarget: Int32Array;
  /** For every head of every token, where its output is: places of prompts' queries and then of responses' queries. */
  readonly outputSource: Int32Array;
  /** 0 where a prompt has a token, −1e9 where it has none, shape [groups · promptTime]. */
  readonly promptMask: Float32Array;
  /** For every response token, in the order of the sequences, the token that it is predicted after. */
  readonly stateTokens: Int32Array;
  /** Every response token. */
  readonly targets: Int32Array;
  /** For every sequence, its last token; −1 where it was not laid out. */
  readonly lastTokens: Int32Array;
  /** Response tokens of each sequence. */
  readonly lengths: Int32Array;
}

/** What attention costs at a place, in parts of what a token costs elsewhere: it sets how far prompts are shared. */
const placeCost = 0.25;

/** How sequences are laid out. */
export interface BatchLayout {
  /** Whether the last token of each sequence is needed: not where only what comes before response tokens is. */
  readonly withLast: boolean;
  /** Whether sequences stand whole: alike in batches that one graph computes. */
  readonly whole: boolean;
}

/** Whether sequences had better stand whole: no prompt has several responses, or so few have that sharing them costs more than it saves. */
export function betterWhole(sequences: readonly Sequence[]): boolean {
  const longest = sequences.reduce((most, { responseTokens }) => Math.max(most, responseTokens.length), 1);
  return cheapestSamples(sequences, byPrompt(sequences), longest) === 1;
}

/**
 * Lays out sequences.
 *
 * @throws Error if a sequence is none of the model's
 */
export function sharedBatch(
  config: LanguageModelConfig,
  sequences: readonly Sequence[],
  { withLast, whole }: BatchLayout,
): SharedBatch {
  const { heads, keyValueHeads } = config;
  const perKey = heads / keyValueHeads;
  checkSequences(config, sequences);
  const { groups, samples, promptTime, responseTime, count } = arranged(sequences, { withLast, whole });
  const responseLength = (sequence: number, { prefix }: Group): number =>
    sequences[sequence]!.promptTokens.length + inputLength(sequences[sequence]!, withLast) - prefix.length;
  const tokens = new Int32Array(count);
  const positions = new Int32Array(count);
  const promptQueries = groups.length * heads * promptTime;
  const promptKeys = groups.length * keyValueHeads * promptTime;
  const responseQueries = groups.length * heads * samples * responseTime;
  const responseKeys = groups.length * keyValueHeads * samples * responseTime;
  const rotated = heads + keyValueHeads;
  const queryKeySource = new Int32Array(promptQueries + promptKeys + responseQueries + responseKeys);
  const queryKeyTarget = new Int32Array(count * rotated);
  const valueSource = new Int32Array(promptKeys + responseKeys);
  const valueTarget = new Int32Array(count * keyValueHeads);
  const outputSource = new Int32Array(count * heads);
  const promptMask = new Float32Array(groups.length * promptTime);

  /** Gives one token its places; `queryPlace` and `keyPlace` are within its kind. */
  const place = (
    token: number,
    inPrompt: boolean,
    queryPlace: (head: number) => number,
    keyPlace: (head: number) => number,
  ): void => {
    for (let head = 0; head < heads; head++) {
      const within = queryPlace(head);
      const row = token * rotated + head;
      const target = inPrompt ? within : promptQueries + promptKeys + within;
      queryKeySource[target] = row;
      queryKeyTarget[row] = target;
      outputSource[token * heads + head] = inPrompt ? within : promptQueries + within;
    }
    for (let head = 0; head < keyValueHeads; head++) {
      const within = keyPlace(head);
      const row = token * rotated + heads + head;
      const target = inPrompt ? promptQueries + within : promptQueries + promptKeys + responseQueries + within;
      queryKeySource[target] = row;
      queryKeyTarget[row] = target;
      const valueRow = token * keyValueHeads + head;
      const valuePlace = inPrompt ? within : promptKeys + within;
      valueSource[valuePlace] = valueRow;
      valueTarget[valueRow] = valuePlace;
    }
  };

  let next = 0;
  const prefixStarts = groups.map(({ prefix }, group) => {
    const start = next;
    promptMask.fill(-1e9, group * promptTime + prefix.length, (group + 1) * promptTime);
    for (let time = 0; time < prefix.length; time++, next++) {
      tokens[next] = prefix[time]!;
      positions[next] = time;
      place(
        next,
        true,
        (head) => (group * heads + head) * promptTime + time,
        (head) => (group * keyValueHeads + head) * promptTime + time,
      );
    }
    return start;
  });
  const responseStarts = new Int32Array(sequences.length);
  groups.forEach((each, group) => {
    each.members.forEach((sequence, sample) => {
      const { responseTokens } = sequences[sequence]!;
      responseStarts[sequence] = next;
      for (let time = 0; time < responseLength(sequence, each); time++, next++) {
        tokens[next] = responseTokens[time]!;
        positions[next] = each.prefix.length + time;
        place(
          next,
          false,
          (head) => {
            const keyHead = Math.floor(head / perKey);
            const row = ((group * keyValueHeads + keyHead) * samples + sample) * perKey + (head % perKey);
            return row * responseTime + time;
          },
          (head) => ((group * keyValueHeads + head) * samples + sample) * responseTime + time,
        );
      }
    });
  });

  const lengths = Int32Array.from(sequences, ({ responseTokens }) => responseTokens.length);
  const states = lengths.reduce((sum, length) => sum + length, 0);
  const stateTokens = new Int32Array(states);
  const targets = new Int32Array(states);
  const lastTokens = new Int32Array(sequences.length).fill(-1);
  const groupOf = new Int32Array(sequences.length);
  groups.forEach(({ members }, group) => members.forEach((sequence) => (groupOf[sequence] = group)));
  let state = 0;
  sequences.forEach(({ promptTokens, responseTokens }, sequence) => {
    const group = groupOf[sequence]!;
    const { length } = groups[group]!.prefix;
    const tokenAt = (position: number): number =>
      position < length ? prefixStarts[group]! + position : responseStarts[sequence]! + position - length;
    targets.set(responseTokens, state);
    for (let time = 0; time < responseTokens.length; time++) {
      stateTokens[state++] = tokenAt(promptTokens.length - 1 + time);
    }
    if (withLast) lastTokens[sequence] = tokenAt(promptTokens.length + responseTokens.length - 1);
  });
  return {
    whole,
    groups: groups.length,
    promptTime,
    samples,
    responseTime,
    tokens,
    positions,
    queryKeySource,
    queryKeyTarget,
    valueSource,
    valueTarget,
    outputSource,
    promptMask,
    stateTokens,
    targets,
    lastTokens,
    lengths,
  };
}

/** The sizes of a batch. */
export interface BatchShape {
  readonly groups: number;
  readonly promptTime: number;
  readonly samples: number;
  readonly responseTime: number;
  readonly tokens: number;
  readonly states: number;
}

/** The sizes that `sharedBatch` would give, without laying anything out. */
export function batchShape(sequences: readonly Sequence[], layout: BatchLayout): BatchShape {
  const { groups, count, ...sizes } = arranged(sequences, layout);
  const states = sequences.reduce((sum, { responseTokens }) => sum + responseTokens.length, 0);
  return { ...sizes, groups: groups.length, tokens: count, states };
}

/** Tokens of a response that are computed. */
function inputLength({ responseTokens }: Sequence, withLast: boolean): number {
  return responseTokens.length - (withLast ? 0 : 1);
}

/** Gathers sequences by prompt, and gives the sizes of the grids that they lie in. */
function arranged(
  sequences: readonly Sequence[],
  { withLast, whole }: BatchLayout,
): {
  readonly groups: readonly Group[];
  readonly samples: number;
  readonly promptTime: number;
  readonly responseTime: number;
  /** Tokens in all. */
  readonly count: number;
} {
  const lengths = sequences.map((sequence) => inputLength(sequence, withLast));
  const longest = Math.max(1, ...lengths);
  const { samples, groups: memberships } = whole
    ? { samples: 0, groups: sequences.map((_, sequence) => [sequence]) }
    : grouped(sequences, longest);
  const groups = memberships.map((members): Group => {
    const first = members[0]!;
    const { promptTokens, responseTokens } = sequences[first]!;
    return { prefix: whole ? joined(promptTokens, responseTokens, lengths[first]!) : promptTokens, members };
  });
  const prefixes = groups.map(({ prefix }) => prefix.length);
  const count = prefixes.reduce((sum, length) => sum + length, 0);
  return {
    groups,
    samples,
    promptTime: Math.max(1, ...prefixes),
    // A grid has a place at least, if only an empty one.
    responseTime: whole ? 0 : longest,
    count: count + (whole ? 0 : lengths.reduce((sum, length) => sum + length, 0)),
  };
}

/** A prompt and the first tokens of a response. */
function joined(prompt: ArrayLike<number>, response: ArrayLike<number>, length: number): Int32Array {
  const result = new Int32Array(prompt.length + length);
  result.set(prompt);
  for (let time = 0; time < length; time++) result[prompt.length + time] = response[time]!;
  return result;
}

interface Group {
  /** What stands in the grid of prompts: the prompt, and the response too where it is the only one. */
  readonly prefix: ArrayLike<number>;
  /** The sequences that begin with it. */
  readonly members: readonly number[];
}

/**
 * Gathers sequences by prompt, in the order in which prompts are met. A prompt with many more responses than others stands in
 * several groups: grids are as wide as their widest group.
 *
 * @returns groups: the members of each
 */
function grouped(
  sequences: readonly Sequence[],
  responseTime: number,
): { readonly samples: number; readonly groups: readonly (readonly number[])[] } {
  const prompts = byPrompt(sequences);
  const samples = cheapestSamples(sequences, prompts, responseTime);
  const groups = prompts.flatMap((members) =>
    Array.from({ length: Math.ceil(members.length / samples) }, (_, part) =>
      members.slice(part * samples, (part + 1) * samples),
    ),
  );
  return { samples, groups };
}

/** The sequences of every prompt. */
function byPrompt(sequences: readonly Sequence[]): readonly (readonly number[])[] {
  const prompts = new Map<string, number[]>();
  sequences.forEach(({ promptTokens }, sequence) => {
    const key = promptKey(promptTokens);
    const members = prompts.get(key);
    if (members) members.push(sequence);
    else prompts.set(key, [sequence]);
  });
  return [...prompts.values()];
}

/** How many responses to a prompt a group had better have at most. @param prompts the sequences of each */
function cheapestSamples(
  sequences: readonly Sequence[],
  prompts: readonly (readonly number[])[],
  responseTime: number,
): number {
  let [samples, least] = [1, Infinity];
  for (const candidate of new Set(prompts.map((members) => members.length))) {
    const groups = prompts.reduce((sum, members) => sum + Math.ceil(members.length / candidate), 0);
    const repeated = prompts.reduce(
      (sum, members) => sum + Math.ceil(members.length / candidate) * sequences[members[0]!]!.promptTokens.length,
      0,
    );
    const cost = repeated + placeCost * groups * candidate * responseTime;
    if (cost < least) [samples, least] = [candidate, cost];
  }
  return samples;
}
