/**
 * Independent, slow ways to the numbers that the library computes fast: enumeration of all subsets, and quadrature with
 * the plain trapezoidal rule in the variable that the error function's relatives make easy (tanh–sinh).
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
