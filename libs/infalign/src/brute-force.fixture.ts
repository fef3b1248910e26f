/**
 * Independent, slow ways to the numbers that the library computes fast: enumeration of all subsets, and the trapezoidal rule in
 * x with u = 1/(1 + e^−x), where every peak at an end of [0, 1] is as wide as any other.
 */

/** All subsets of the given size, as index lists. */
export function subsets(count: number, size: number): number[][] {
  if (size === 0) return [[]];
  if (count < size) return [];
  return [...subsets(count - 1, size), ...subsets(count - 1, size - 1).map((subset) => [...subset, count - 1])];
}

/** The mean of w(k-th best of A, k-th best of B) over all subsets A of a and B of b. */
export function enumeratedWinRate(a: number[], b: number[], rank: number, draws: number): number {
  const chosenFrom = (rewards: number[]) =>
    subsets(rewards.length, draws).map(
      (subset) => subset.map((i) => rewards[i] as number).sort((x, y) => y - x)[rank - 1] as number,
    );
  const fromB = chosenFrom(b);
  let wins = 0;
  let pairs = 0;
  for (const x of chosenFrom(a)) {
    for (const y of fromB) {
      wins += x > y ? 1 : x === y ? 0.5 : 0;
      pairs++;
    }
  }
  return wins / pairs;
}

/** All ways to put a number of disjoint groups of one size together from these samples, in any order of the groups. */
export function disjointGroups(samples: number[], groups: number, size: number): number[][][] {
  if (groups === 0) return [[]];
  return subsets(samples.length, size).flatMap((places) => {
    const group = places.map((place) => samples[place] as number);
    const others = samples.filter((_, place) => !places.includes(place));
    return disjointGroups(others, groups - 1, size).map((rest) => [group, ...rest]);
  });
}

/**
 * The mean of w(k-th best of A, k-th best of B) by the scorer: A are the best by the selector in N disjoint groups of n of the policy's
 * samples, over all such groups; B all N-subsets of the reference's samples.
 */
export function enumeratedBestOfWinRate(
  { selector, scorer }: { selector: number[]; scorer: number[] },
  policy: number[],
  reference: number[],
  { n, rank, draws }: { n: number; rank: number; draws: number },
): number {
  const chosenOf = (samples: number[]) =>
    samples.map((sample) => scorer[sample] as number).sort((x, y) => y - x)[rank - 1] as number;
  const fromPolicy = disjointGroups(policy, draws, n).map((groups) =>
    chosenOf(
      groups.map((group) =>
        group.reduce((best, one) => ((selector[one] as number) > (selector[best] as number) ? one : best)),
      ),
    ),
  );
  const fromReference = subsets(reference.length, draws).map((places) =>
    chosenOf(places.map((place) => reference[place] as number)),
  );
  let wins = 0;
  for (const x of fromPolicy) for (const y of fromReference) wins += x > y ? 1 : x === y ? 0.5 : 0;
  return wins / (fromPolicy.length * fromReference.length);
}

/** KL and win rates of the density e^{Φ(u)/β}/Z from the formulas as they are written, to about 1e-6. */
export function bruteForcePolicy(
  phi: (u: number) => number,
  beta: number,
): {
  kl: number;
  standardWinRate: number;
  bestOf: (n: number) => number;
  worstOf: (n: number) => number;
  kthOf: (k: number, n: number) => number;
} {
  const step = 1 / 200;
  const points = 2 * 40 * 200 + 1;
  const u = new Float64Array(points);
  const v = new Float64Array(points); // 1 − u
  const du = new Float64Array(points);
  const exponent = new Float64Array(points);
  let highest = -Infinity;
  for (let i = 0; i < points; i++) {
    const x = -40 + i * step;
    u[i] = 1 / (1 + Math.exp(-x));
    v[i] = 1 / (1 + Math.exp(x));
    du[i] = (u[i] as number) * (v[i] as number) * step;
    exponent[i] = phi(u[i] as number) / beta;
    highest = Math.max(highest, exponent[i] as number);
  }
  const f = exponent.map((e) => Math.exp(e - highest));
  const sum = (term: (i: number) => number) => {
    let total = 0;
    for (let i = 0; i < points; i++) total += term(i) * (du[i] as number);
    return total;
  };
  const z = sum((i) => f[i] as number);
  for (let i = 0; i < points; i++) f[i] = (f[i] as number) / z;
  const F = new Float64Array(points);
  const S = new Float64Array(points);
  for (let i = 1; i < points; i++)
    F[i] =
      (F[i - 1] as number) + ((f[i - 1] as number) * (du[i - 1] as number) + (f[i] as number) * (du[i] as number)) / 2;
  for (let i = points - 2; i >= 0; i--)
    S[i] =
      (S[i + 1] as number) + ((f[i + 1] as number) * (du[i + 1] as number) + (f[i] as number) * (du[i] as number)) / 2;
  const binomial = (n: number, k: number): number => (k === 0 ? 1 : (binomial(n - 1, k - 1) * n) / k);
  return {
    kl: sum((i) => ((f[i] as number) > 0 ? (f[i] as number) * ((exponent[i] as number) - highest - Math.log(z)) : 0)),
    standardWinRate: sum((i) => (u[i] as number) * (f[i] as number)),
    bestOf: (n) => 1 - n * sum((i) => (F[i] as number) ** n * (u[i] as number) ** (n - 1)),
    worstOf: (n) => n * sum((i) => (S[i] as number) ** n * (v[i] as number) ** (n - 1)),
    kthOf: (k, n) =>
      sum((i) => {
        // The k-th best of n exceeds u if at least k draws do.
        let exceeds = 0;
        for (let j = k; j <= n; j++) exceeds += binomial(n, j) * (S[i] as number) ** j * (F[i] as number) ** (n - j);
        return exceeds * n * binomial(n - 1, k - 1) * (u[i] as number) ** (n - k) * (v[i] as number) ** (k - 1);
      }),
  };
}
