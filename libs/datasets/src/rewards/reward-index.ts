import { InputError } from '@infalign/core';

/** The rewards of many prompts, in memory, found by prompt id. Prompts are numbered from 0 in the order they came. */
export interface RewardIndex {
  /** Prompts held. */
  readonly size: number;
  /** About how much memory it takes. */
  readonly bytes: number;
  /**
   * Takes a copy of a prompt's rewards.
   *
   * @throws InputError when the prompt is there already, naming both lines
   */
  add(promptId: string, line: number, rewards: Float64Array): void;
  /** A prompt's number, or undefined. */
  find(promptId: string): number | undefined;
  /** The rewards themselves, not a copy: who changes their order, changes it for everyone. */
  rewards(prompt: number): Float64Array;
  /** The line that the rewards came from. */
  line(prompt: number): number;
  /** Ids with their numbers, in order. */
  entries(): Iterable<[string, number]>;
}

/** What V8 takes for a map entry and a short string, and the three numbers kept beside them. */
const BYTES_PER_PROMPT = 160;
const SLAB_REWARDS = 1 << 16;

/**
 * Makes an empty index.
 *
 * @param file - the file the rewards come from, for messages
 */
export function createRewardIndex(file: string): RewardIndex {
  const numbers = new Map<string, number>();
  // Typed arrays beside the map, instead of an object a prompt: a third of the memory, and nothing for the collector.
  let lines = new Float64Array(1024);
  let counts = new Uint32Array(1024);
  let starts = new Float64Array(1024); // number of the slab · SLAB_REWARDS + place in it
  const slabs: Float64Array[] = [];
  let slabFilled = SLAB_REWARDS;
  let rewardBytes = 0;

  return {
    get size() {
      return numbers.size;
    },
    get bytes() {
      return rewardBytes + numbers.size * BYTES_PER_PROMPT;
    },
    add(promptId, line, values) {
      const earlier = numbers.get(promptId);
      if (earlier !== undefined) throw duplicatePrompt(file, promptId, lines[earlier]!, line);
      const prompt = numbers.size;
      const count = values.length;
      if (slabFilled + count > SLAB_REWARDS) {
        slabs.push(new Float64Array(Math.max(SLAB_REWARDS, count)));
        slabFilled = 0;
      }
      slabs.at(-1)!.set(values, slabFilled);
      if (prompt === lines.length) {
        lines = grown(lines, new Float64Array(2 * prompt));
        counts = grown(counts, new Uint32Array(2 * prompt));
        starts = grown(starts, new Float64Array(2 * prompt));
      }
      lines[prompt] = line;
      counts[prompt] = count;
      starts[prompt] = (slabs.length - 1) * SLAB_REWARDS + slabFilled;
      numbers.set(promptId, prompt);
      slabFilled += count;
      rewardBytes += 8 * count;
    },
    find: (promptId) => numbers.get(promptId),
    rewards(prompt) {
      const slab = Math.floor(starts[prompt]! / SLAB_REWARDS);
      const start = starts[prompt]! % SLAB_REWARDS;
      return slabs[slab]!.subarray(start, start + counts[prompt]!);
    },
    line: (prompt) => lines[prompt]!,
    entries: () => numbers.entries(),
  };
}

function grown<Numbers extends Float64Array | Uint32Array>(values: Numbers, larger: Numbers): Numbers {
  larger.set(values);
  return larger;
}

/** The message for a prompt whose rewards stand on two lines of one file. */
export function duplicatePrompt(file: string, promptId: string, line: number, otherLine: number): InputError {
  const [first, second] = line < otherLine ? [line, otherLine] : [otherLine, line];
  return new InputError(
    `${file}:${second}: prompt "${promptId}" is already on line ${first}; put all of a prompt's rewards on one line`,
  );
}
