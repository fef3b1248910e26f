import type { Sequence } from '../language-model.js';
import { promptKey } from '../token-sequences.js';

/** A part of a minibatch that is computed at once. */
export interface TrainingPass {
  /** Which sequences, by their places in the minibatch; of preference pairs the chosen ones first, then the rejected ones. */
  readonly members: readonly number[];
  /** Whether layers are computed again for their gradients. */
  readonly recompute: boolean;
}

/** How a minibatch is cut. */
export interface PassOptions {
  /** Whether the first half of the sequences and the second are pairs, which stay together. */
  readonly paired: boolean;
  /** Passes that are computed at the same time: as far as there are sequences or pairs, there are at least so many, of like size. */
  readonly lanes: number;
  /** What a pass takes. */
  readonly bytes: (members: readonly Sequence[]) => number;
  /** What passes that are computed at the same time may take. */
  readonly mostBytes: number;
}

/**
 * Cuts a minibatch into passes that take a bounded amount of memory. A sequence, or a preference pair, that alone takes more has
 * its layers computed again for their gradients, so that only one layer's activations are held at a time: smaller passes cost less.
 *
 */
export function trainingPasses(
  sequences: readonly Sequence[],
  { paired, lanes, bytes, mostBytes }: PassOptions,
): TrainingPass[] {
  const count = paired ? sequences.length / 2 : sequences.length;
  if (!Number.isInteger(count)) throw new Error(`${sequences.length} sequences are no preference pairs`);
  const members = (units: readonly number[]): number[] =>
    paired ? [...units, ...units.map((unit) => unit + count)] : [...units];
  const cut = (units: readonly number[]): TrainingPass[] => {
    const all = members(units);
    const fits = bytes(all.map((member) => sequences[member]!)) <= mostBytes / lanes;
    if (fits || units.length === 1) return [{ members: all, recompute: !fits }];
    const half = Math.ceil(units.length / 2);
    return [...cut(units.slice(0, half)), ...cut(units.slice(half))];
  };
  // Responses to one prompt together: then they share it.
  const byPrompt = new Map<string, number[]>();
  for (let unit = 0; unit < count; unit++) {
    const key = promptKey(sequences[unit]!.promptTokens);
    const units = byPrompt.get(key);
    if (units) units.push(unit);
    else byPrompt.set(key, [unit]);
  }
  const units = [...byPrompt.values()].flat();
  const sizes = units.map((unit) =>
    members([unit]).reduce((sum, member) => {
      const { promptTokens, responseTokens } = sequences[member]!;
      return sum + promptTokens.length + responseTokens.length;
    }, 0),
  );
  return inParts(units, sizes, lanes).flatMap(cut);
}

/** Cuts a list into parts of about the same size. */
function inParts<T>(items: readonly T[], sizes: readonly number[], count: number): T[][] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const parts: T[][] = [];
  let before = 0;
  items.forEach((item, index) => {
    const middle = before + sizes[index]! / 2;
    const part = Math.min(count - 1, Math.floor((middle * count) / total));
    (parts[part] ??= []).push(item);
    before += sizes[index]!;
  });
  return parts.filter((part) => part !== undefined);
}
