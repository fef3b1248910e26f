import { assertBeta, type AlignedPolicy } from './aligned-policy.js';
import { bracketedRoot } from './bracketed-root.js';
import { InputError } from './input-error.js';

/** A KL is met when it is met to this part of it: what the optimal policy's KL is sure to. */
const RESOLUTION = 5e-10;

/**
 * Finds β with KL(β) = kl, for a KL that never increases with β.
 *
 * @param kl nats, above 0
 * @param policyAt undefined where β is too small for double precision
 * @param nearbyBeta where the search starts
 * @param smallestBeta where it gives up
 * @param name of what is optimised, for errors
 * @throws InputError if the KL is not above 0 or out of reach; the message gives the limit
 */
export function solveForKl<Policy extends Pick<AlignedPolicy, 'kl'>>(
  kl: number,
  policyAt: (beta: number) => Policy | undefined,
  nearbyBeta: number,
  smallestBeta: number,
  name: string,
): { beta: number; policy: Policy } {
  if (!(kl > 0 && kl < Infinity)) throw new InputError(`the KL must be a number above 0 (in nats), not ${kl}`);
  assertBeta(nearbyBeta);
  // Remembered: each value costs a policy, and at the edge of double precision an answer must stand.
  const known = new Map<number, number>();
  const excessAt = (logBeta: number): number => {
    let value = known.get(logBeta);
    if (value === undefined) {
      const policy = policyAt(Math.exp(logBeta));
      value = policy === undefined ? Infinity : Math.log(Math.max(policy.kl, Number.MIN_VALUE) / kl);
      if (Math.abs(value) < RESOLUTION) value = 0;
      known.set(logBeta, value);
    }
    return value;
  };
  const outOfReach = (limit: number) =>
    new InputError(
      `a KL of ${kl} is out of reach for ${name}: however small β, it does not exceed ${limit.toPrecision(4)} nats here; ` +
        'ask for less',
    );

  // A bracket in ln β: `weak` has too little KL, `strong` enough.
  const start = Math.log(nearbyBeta);
  const startExcess = excessAt(start);
  const direction = startExcess > 0 ? 1 : -1;
  let near = start;
  let far = start;
  let farExcess = startExcess;
  for (let reach = 1; farExcess * direction > 0; reach *= 1.7) {
    near = far;
    if (direction < 0 && near <= Math.log(smallestBeta)) throw outOfReach(kl * Math.exp(farExcess));
    far = near + direction * reach;
    if (direction < 0) far = Math.max(far, Math.log(smallestBeta));
    if (far > 700) throw new InputError(`a KL of ${kl} is too small to find a β for`);
    farExcess = excessAt(far);
  }
  let [strong, weak] = direction > 0 ? [near, far] : [far, near];
  // Where the strong end is beyond double precision, move it inward until it is not.
  for (let i = 0; excessAt(strong) === Infinity; i++) {
    if (i === 30) throw outOfReach(kl * Math.exp(excessAt(weak)));
    const middle = (strong + weak) / 2;
    if (excessAt(middle) < 0) weak = middle;
    else strong = middle;
  }
  const beta = Math.exp(bracketedRoot(excessAt, strong, weak, RESOLUTION / 10));
  const policy = policyAt(beta);
  if (policy === undefined || Math.abs(policy.kl / kl - 1) > 1e-5) throw outOfReach(kl * Math.exp(excessAt(weak)));
  return { beta, policy };
}
