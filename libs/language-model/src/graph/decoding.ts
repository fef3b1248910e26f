import { seededRandom, type RandomSource } from '@infalign/core';
import { disposeAll, NativeTensor } from '@infalign/tensor-graph';
import { headSize } from '../definition.js';
import type { SampledResponse, SampleRequest, SamplingSettings } from '../language-model.js';
import { changesProbabilities, checkSampling, drawToken, undrawable } from '../token-choice.js';
import { createCaches, growCaches, sameSizes, type Caches, type CacheSizes } from './decoding-caches.js';
import type { GraphModelState } from './graph-model.js';
import { ran, sideBySide, type Lane, type RunOptions } from './lanes.js';
import { checkPrompts } from '../token-sequences.js';
import { groupsOf, inParts, type Group } from './prompt-groups.js';
import type { StepOutput } from './step-graph.js';
import { mostUniform } from './token-draw.js';

/** Samples from a model; keeps its caches between calls. */
export interface Decoder {
  sample(requests: readonly SampleRequest[], settings: SamplingSettings): SampledResponse[];
  dispose(): void;
}

/** Rows of a lane at most. */
const mostRows = 512;
/** What keys and values of all lanes may take at their largest, in bytes, unless lanes have a single row; smaller ones, as much again. */
const mostCacheBytes = 2 ** 29;
/** Rows that must be free before prompts are computed for them, in parts of all rows: few large passes cost less than many small ones. */
const refillShare = 0.25;
/** Tokens of prompts that are computed together at most. */
const prefillTokens = 4096;
/** Positions of the responses' caches to begin with; they double. */
const firstCapacity = 32;

/** Lanes that share products at most. */
const mostSharing = 2;
/** Responses of a lane up to which they do. */
const mostRowsSharing = 32;
/** Responses of a lane from which on they do where weights are large; where they are larger by a factor, from one on. */
const fewestRowsSharing = 8;
const largerFactor = 8;

/** A response that is being sampled. */
interface Row {
  readonly request: number;
  readonly group: Group;
  readonly random: RandomSource;
  readonly tokens: number[];
  readonly logProbs: number[];
}

/**
 * Samples by continuous batching: every step computes the rows that are unfinished, and no others; where rows are free, the next
 * requests begin. The keys and values of a prompt are computed and kept once for all of its rows. The requests are divided among lanes,
 * which do so side by side. What is computed together follows from the requests, the settings and the number of lanes alone, so the
 * same call gives the same bytes.
 */
export function createDecoder(state: GraphModelState): Decoder {
  const { config, weights } = state;
  const weightBytes = weights.stacks.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
  const caches: (Caches | undefined)[] = [];

  /**
   * How many lanes share products. A product of few rows mostly waits for its weight, of which each thread then reads a part; but lanes
   * also wait for each other, which small weights are not worth.
   */
  function sharingFor(requests: number): number {
    const rows = requests / state.lanes;
    const fewest = weightBytes >= largerFactor * state.largeWeights ? 0 : fewestRowsSharing;
    const shares = weightBytes >= state.largeWeights && rows >= fewest && rows <= mostRowsSharing;
    return shares ? Math.min(mostSharing, state.lanes) : 1;
  }

  /** Caches of a lane for some requests. */
  function cachesFor(lane: number, groups: readonly Group[], { maxResponseTokens }: SamplingSettings): Caches {
    const requests = groups.reduce((sum, { waiting }) => sum + waiting.length, 0);
    const promptTime = groups.reduce((length, { prompt }) => Math.max(length, prompt.length), 0);
    const shared = groups.length < requests;
    const responseTime = Math.min(maxResponseTokens, config.maxPositions - promptTime);
    const ownPrompt = shared ? 0 : promptTime;
    const rowBytes = 4 * 2 * config.layers * config.keyValueHeads * headSize(config) * (promptTime + responseTime);
    const rowSlots = Math.max(1, Math.min(requests, mostRows, Math.floor(mostCacheBytes / state.lanes / rowBytes)));
    const sizes: CacheSizes = {
      rowSlots,
      // In the worst case every row has a prompt that others share too.
      promptSlots: shared ? rowSlots : 0,
      promptTime,
      firstCapacity: Math.min(responseTime, firstCapacity) + ownPrompt,
      // Shorter prompts leave longer responses.
      mostCapacity: Math.min(maxResponseTokens + ownPrompt, config.maxPositions),
    };
    let found = caches[lane];
    if (!found || !sameSizes(found, sizes)) {
      found?.dispose();
      caches[lane] = found = createCaches(config, sizes);
    }
    found.take(sizes.firstCapacity);
    return found;
  }

  function forget(): void {
    for (const each of caches.splice(0)) each?.dispose();
  }

  return {
    sample(requests, settings) {
      checkSampling(settings);
      checkPrompts(config, requests);
      const temperature = NativeTensor.of(Float32Array.of(settings.temperature), []);
      // Read once for all steps; nothing changes the weights meanwhile.
      const values = Object.fromEntries(
        [...state.weights.variables].map(([name, variable]) => [name, variable.value()]),
      );
      const fixed = { temperature, ...state.tables, ...values };
      const results = new Array<SampledResponse>(requests.length);
      try {
        const sharing = sharingFor(requests.length);
        const sampling = inParts(groupsOf(requests), state.lanes).map((groups, lane) =>
          sampleAll(state, sharing, fixed, cachesFor(lane, groups, settings), groups, requests, settings, results),
        );
        sideBySide(sampling);
        return results;
      } catch (error) {
        // Caches with a number that is not finite would spoil all later responses: no mask hides it.
        forget();
        throw error;
      } finally {
        temperature.dispose();
        disposeAll(values);
      }
    },
    dispose: forget,
  };
}

/** Where the rows of a step stand in the grid of prompts and their rows, as inputs of the step. */
interface Grid {
  readonly samples: number;
  readonly feeds: Readonly<Record<string, NativeTensor>>;
}

/**
 * @param sharing how many lanes share products
 * @param results gets the responses
 */
function* sampleAll(
  { config, functions }: GraphModelState,
  sharing: number,
  fixed: Readonly<Record<string, NativeTensor>>,
  caches: Caches,
  queue: Group[],
  requests: readonly SampleRequest[],
  settings: SamplingSettings,
  results: SampledResponse[],
): Lane<void> {
  const { heads, keyValueHeads, vocabSize, maxPositions, eosTokenId } = config;
  const shared = caches.promptSlots > 0;
  const stepGraph = functions.step({ shared, sharing });
  /** Whether tokens are drawn from probabilities that steps give; else steps draw them. */
  const drawnHere = changesProbabilities(settings, vocabSize);
  /** By row of the caches; undefined where a response has just ended. */
  const rows: (Row | undefined)[] = [];
  const freeSlots = Array.from({ length: caches.promptSlots }, (_, slot) => caches.promptSlots - 1 - slot);
  let grid: Grid | undefined;

  try {
    for (;;) {
      yield* refill();
      if (rows.length === 0) break;
      yield* step();
    }
  } finally {
    if (grid) disposeAll(grid.feeds);
  }

  /** Begins requests where rows are free, and closes the gaps that remain. */
  function* refill(): Lane<void> {
    let changed = rows.includes(undefined);
    while (queue.length > 0) {
      const places = freePlaces();
      if (places.length === 0) break;
      const [group] = queue;
      if (group!.slot === undefined) {
        if (places.length < caches.rowSlots && places.length < refillShare * caches.rowSlots) break;
        yield* prefill(places);
      }
      changed = true;
      // Where prompts are kept in rows, their slots are the places of these rows.
      const place = shared ? places[0]! : group!.slot!;
      const row = begun(group!);
      if (group!.waiting.length === 0) queue.shift();
      while (rows.length <= place) rows.push(undefined);
      rows[place] = row;
      release(group!);
    }
    if (!changed) return;
    yield* closeGaps();
    if (!shared) return;
    if (grid) disposeAll(grid.feeds);
    grid = rows.length === 0 ? undefined : gridOf(rows as Row[]);
  }

  /** Rows of the caches that no response has, the lowest first. */
  function freePlaces(): number[] {
    return Array.from({ length: caches.rowSlots }, (_, place) => place).filter((place) => rows[place] === undefined);
  }

  /** Computes the prompts of the next groups, for rows at some places. */
  function* prefill(places: readonly number[]): Lane<void> {
    const groups: Group[] = [];
    let wanted = 0;
    for (const group of queue) {
      if (wanted >= places.length || (shared && freeSlots.length === 0)) break;
      if (groups.length > 0 && (groups.length + 1) * caches.promptTime > prefillTokens) break;
      group.slot = shared ? freeSlots.pop()! : places[wanted]!;
      groups.push(group);
      wanted += group.waiting.length;
    }
    const { probabilities } = shared
      ? yield* ran(functions.sharedPrefill, { ...fixed, ...caches.prompts }, promptFeeds(groups))
      : yield* ran(
          functions.prefill,
          { ...fixed, ...caches.responses, capacity: caches.capacity },
          promptFeeds(groups),
        );
    const all = probabilities.take() as Float32Array;
    groups.forEach((group, index) => (group.first = all.slice(index * vocabSize, (index + 1) * vocabSize)));
  }

  function promptFeeds(groups: readonly Group[]): Record<string, NativeTensor> {
    const tokens = new Int32Array(groups.length * caches.promptTime);
    groups.forEach(({ prompt }, index) => tokens.set(prompt, index * caches.promptTime));
    return {
      tokens: NativeTensor.of(tokens, [groups.length, caches.promptTime]),
      lengths: integers(groups.map(({ prompt }) => prompt.length)),
      slots: integers(groups.map(({ slot }) => slot!)),
    };
  }

  /** Begins the next request of a group. @returns its row, unless it is complete with its first token */
  function begun(group: Group): Row | undefined {
    const request = group.waiting.pop()!;
    const row = { request, group, random: seededRandom(...requests[request]!.randomSeed), tokens: [], logProbs: [] };
    if (drawn(row, group.first, 0)) return undefined;
    group.rows++;
    return row;
  }

  /** Draws a token of a row. @returns whether the response is complete */
  function drawn(row: Row, probabilities: Float32Array, start: number): boolean {
    const token = drawToken(probabilities, start, vocabSize, settings, row.random);
    return added(row, token, Math.log(probabilities[start + token]!));
  }

  /** Adds a token to a row. @returns whether the response is complete */
  function added({ request, tokens, logProbs, group }: Row, token: number, logProb: number): boolean {
    tokens.push(token);
    logProbs.push(logProb);
    const ended = token === eosTokenId;
    const full = tokens.length === settings.maxResponseTokens || group.prompt.length + tokens.length === maxPositions;
    if (!ended && !full) return false;
    results[request] = {
      responseTokens: Int32Array.from(tokens),
      logProbs: Float32Array.from(logProbs),
      ended,
    };
    return true;
  }

  /** Lets go of the slot of a group that is done. */
  function release(group: Group): void {
    if (!shared || group.slot === undefined || group.rows > 0 || group.waiting.length > 0) return;
    freeSlots.push(group.slot);
    // The lowest next: steps compute all slots up to the highest that is in use.
    freeSlots.sort((a, b) => b - a);
    group.slot = undefined;
  }

  /** Moves the last rows to where others have ended. */
  function* closeGaps(): Lane<void> {
    const from: number[] = [];
    const to: number[] = [];
    for (;;) {
      while (rows.length > 0 && rows.at(-1) === undefined) rows.pop();
      const gap = rows.indexOf(undefined);
      if (gap < 0) break;
      from.push(rows.length - 1);
      to.push(gap);
      rows[gap] = rows.pop();
    }
    if (from.length === 0) return;
    const feeds = { from: integers(from), to: integers(to) };
    const { done } = yield* ran(functions.move, caches.responses, feeds);
    done.dispose();
  }

  /** Computes one more token of every row. */
  function* step(): Lane<void> {
    const current = rows as Row[];
    // The position of the last token drawn, whose keys and values are computed now, and its place in the row's cache.
    const positions = current.map(({ tokens, group }) => group.prompt.length + tokens.length - 1);
    const lengths = shared ? current.map(({ tokens }) => tokens.length - 1) : positions;
    if (Math.max(...lengths) >= caches.capacity) {
      yield* growCaches(functions, caches, Math.min(2 * caches.capacity, caches.mostCapacity));
    }
    const uniforms = (): NativeTensor =>
      floats(current.map(({ random }) => Math.min(Math.fround(random.uniform()), mostUniform)));
    const feeds = {
      tokens: integers(current.map(({ tokens }) => tokens.at(-1)!)),
      lengths: integers(lengths),
      positions: integers(positions),
      ...(drawnHere ? {} : { blockUniforms: uniforms(), tokenUniforms: uniforms() }),
    };
    const prompts = grid ? { ...caches.prompts, ...grid.feeds, samples: grid.samples } : {};
    const inputs = { ...fixed, ...caches.responses, capacity: caches.capacity, ...prompts };
    const options: RunOptions<StepOutput> = {
      outputs: drawnHere ? ['probabilities'] : ['tokens', 'logProbs'],
      waits: true,
    };
    const next = yield* ran(stepGraph, inputs, feeds, options);
    const completed = drawnHere ? drawnFrom(next.probabilities) : drawnBy(next);
    current.forEach((row, index) => {
      if (!completed(row, index)) return;
      rows[index] = undefined;
      row.group.rows--;
      release(row.group);
    });
  }

  /** Draws tokens of rows from their probabilities. */
  function drawnFrom(tensor: NativeTensor): (row: Row, index: number) => boolean {
    const probabilities = tensor.take() as Float32Array;
    return (row, index) => drawn(row, probabilities, index * vocabSize);
  }

  /** Takes tokens of rows that a step has drawn. */
  function drawnBy({
    tokens,
    logProbs,
  }: Record<'tokens' | 'logProbs', NativeTensor>): (row: Row, index: number) => boolean {
    const [drawnTokens, theirs] = [tokens.take(), logProbs.take()];
    return (row, index) => {
      const logProb = theirs[index]!;
      if (!Number.isFinite(logProb)) throw undrawable(Math.exp(logProb));
      return added(row, drawnTokens[index]!, logProb);
    };
  }

  function gridOf(current: readonly Row[]): Grid {
    const perKey = heads / keyValueHeads;
    const groups = Math.max(...current.map(({ group }) => group.slot!)) + 1;
    const samples = Math.max(...current.map(({ group }) => group.rows));
    const cells = new Int32Array(current.length * heads);
    const cellRows = new Int32Array(groups * heads * samples);
    const promptMask = new Float32Array(groups * caches.promptTime);
    const placed = new Int32Array(groups);
    current.forEach(({ group }, row) => {
      const slot = group.slot!;
      promptMask.fill(-1e9, slot * caches.promptTime + group.prompt.length, (slot + 1) * caches.promptTime);
      const sample = placed[slot]!++;
      for (let head = 0; head < heads; head++) {
        const keyHead = Math.floor(head / perKey);
        const cell = ((slot * keyValueHeads + keyHead) * samples + sample) * perKey + (head % perKey);
        cells[row * heads + head] = cell;
        cellRows[cell] = row * heads + head;
      }
    });
    return {
      samples,
      feeds: {
        cells: integers(cells),
        cellRows: integers(cellRows),
        promptMask: NativeTensor.of(promptMask, [groups, 1, caches.promptTime]),
      },
    };
  }
}

function floats(elements: ArrayLike<number>): NativeTensor {
  const vector = new Float32Array(elements);
  return NativeTensor.of(vector, [vector.length]);
}

function integers(elements: ArrayLike<number>): NativeTensor {
  const vector = new Int32Array(elements);
  return NativeTensor.of(vector, [vector.length]);
}
