import type { Sequence } from '../language-model.js';
import { promptKey } from '../token-sequences.js';

/** A part of a minibatch that is computed at once. */
export interface TrainingPass {
  /** Which sequences, by their places in the minibatch; of preference pairs the chosen ones first, then the rejected ones. */
  readonly members: readonly number[];
  /** Whether layers are computed again for their gradients. */
  readonly recompute: boolean;
}

/**
 * Cuts a minibatch into passes that take a bounded amount of memory. A sequence, or a preference pair, that alone takes more has
 * its layers computed again for their gradients, so that only one layer's activations are held at a time: smaller passes cost less.
 *
 * @param paired whether the first half of the sequences and the second are pairs, which stay together
 * @param bytes what a pass takes
 * @param mostBytes what it may take
 */
export function trainingPasses(
  sequences: readonly Sequence[],
  paired: boolean,
  bytes: (members: readonly Sequence[]) => number,
  mostBytes: number,
): TrainingPass[] {
  const count = paired ? sequences.length / 2 : sequences.length;
  if (!Number.isInteger(count)) throw new Error(`${sequences.length} sequences are no preference pairs`);
  const members = (units: readonly number[]): number[] =>
    paired ? [...units, ...units.map((unit) => unit + count)] : [...units];
  const cut = (units: readonly number[]): TrainingPass[] => {
    const all = members(units);
    const fits = bytes(all.map((member) => sequences[member]!)) <= mostBytes;
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
  return cut([...byPrompt.values()].flat());
}
