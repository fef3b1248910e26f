/**
 * A root of a continuous function between two points where its signs differ (Chandrupatla, "A new hybrid quadratic/bisection
 * algorithm", 1997): never more than bisection's steps by much, and few on smooth functions.
 *
 * @param f the function; f(a) and f(b) have different signs, or one is 0
 * @param tolerance absolute, on the root
 */
export function bracketedRoot(f: (x: number) => number, a: number, b: number, tolerance: number): number {
  let x1 = b;
  let x2 = a;
  let f1 = f(b);
  let f2 = f(a);
  if (f1 === 0) return b;
  if (f2 === 0) return a;
  if (f1 > 0 === f2 > 0) throw new RangeError(`no sign change between f(${a}) = ${f2} and f(${b}) = ${f1}`);
  let t = 0.5;
  for (let step = 0; step < 200; step++) {
    const x = x1 + t * (x2 - x1);
    const fx = f(x);
    let x3: number;
    let f3: number;
    if (fx > 0 === f1 > 0) {
      [x3, f3] = [x1, f1];
    } else {
      [x3, f3] = [x2, f2];
      [x2, f2] = [x1, f1];
    }
    [x1, f1] = [x, fx];
    const best = Math.abs(f1) < Math.abs(f2) ? x1 : x2;
    const relative = (tolerance + 2 * Number.EPSILON * Math.abs(best)) / Math.abs(x2 - x1);
    if (relative > 0.5 || fx === 0) return best;
    const xi = (x1 - x2) / (x3 - x2);
    const phi = (f1 - f2) / (f3 - f2);
    t =
      phi * phi < xi && (1 - phi) * (1 - phi) < 1 - xi
        ? (f1 / (f2 - f1)) * (f3 / (f2 - f3)) + ((x3 - x1) / (x2 - x1)) * (f1 / (f3 - f1)) * (f2 / (f3 - f2))
        : 0.5;
    t = Math.min(1 - relative, Math.max(relative, t));
  }
  return Math.abs(f1) < Math.abs(f2) ? x1 : x2;
}
