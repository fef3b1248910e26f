import { bracketedRoot } from './bracketed-root.js';
import { gaussLegendre } from './gauss-legendre.js';

/**
 * The bound that the absolute value of a variable with Student's distribution stays below with a given probability.
 *
 * With t = √ν·tan θ the density becomes cos^{ν−1} θ, whose integral from 0 to π/2 is ½·B(½, ν/2).
 *
 * @param probability between 0 and 1, such as 0.95
 * @param degreesOfFreedom ν, from 1 to a million; need not be whole
 * @returns accurate to 1e-8 of itself for probabilities up to 0.999
 */
export function studentBound(probability: number, degreesOfFreedom: number): number {
  const logTotal =
    Math.log(Math.PI) / 2 + logGamma(degreesOfFreedom / 2) - logGamma((degreesOfFreedom + 1) / 2) - Math.LN2;
  const upTo = (angle: number): number => {
    let sum = 0;
    RULE.nodes.forEach((node, i) => {
      const logCosine = -Math.log1p(Math.tan((angle / 2) * (1 + node)) ** 2) / 2;
      sum += (RULE.weights[i] as number) * Math.exp((degreesOfFreedom - 1) * logCosine - logTotal);
    });
    return (angle / 2) * sum;
  };
  // With many degrees of freedom there is nothing beyond a few deviations, and a rule over all would miss the narrow peak at 0.
  const farthest = degreesOfFreedom < 100 ? Math.PI / 2 : Math.atan(8 / Math.sqrt(degreesOfFreedom));
  const angle = bracketedRoot((angle) => upTo(angle) - probability, 0, farthest, 1e-14);
  return Math.sqrt(degreesOfFreedom) * Math.tan(angle);
}

const RULE = gaussLegendre(48);

/** ln Γ(x) for x > 0, by Stirling's series, moved to where it is accurate to rounding. */
function logGamma(x: number): number {
  let shift = 0;
  let moved = x;
  for (; moved < 12; moved++) shift += Math.log(moved);
  const inverse = 1 / moved;
  const series = inverse * (1 / 12 - inverse ** 2 * (1 / 360 - inverse ** 2 * (1 / 1260 - inverse ** 2 / 1680)));
  return (moved - 0.5) * Math.log(moved) - moved + Math.log(2 * Math.PI) / 2 + series - shift;
}
