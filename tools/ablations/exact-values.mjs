/**
 * The root mean square of Ĉ_K − C over rollouts of the reference policy.
 *
 * Ĉ_K is a mean of K independent w, whose mean is C: the mean square is E[Var(w)]/K. Without ties Var(w) = C(1 − C), and C is
 * uniform: ∫ u(1 − u) du = 1/6. With ties, for rewards that take values with probabilities p_i: w counts ½ at a tie, so
 * E[w²] = ½ − Σ p_i²/4, and the mid-ranks C have the mean ½ and the variance (1 − Σ p_i³)/12: E[Var(w)] =
 * 1/6 − Σ p_i²/4 + Σ p_i³/12. Ties make calibration more certain.
 *
 * @param {number} references K ≥ 1
 * @param {{ pairs: number, triples: number }} [ties] Σ p_i² and Σ p_i³: the probabilities that two, and three, rewards are equal
 */
export function exactCalibrationError(references, { pairs, triples } = { pairs: 0, triples: 0 }) {
  return Math.sqrt(Math.max(0, 1 / 6 - pairs / 4 + triples / 12) / references);
}

/**
 * How many references have this error, without ties: the K of √(1/(6K)).
 *
 * @param {number} error above 0
 */
export function referencesOfError(error) {
  return 1 / (6 * error * error);
}

/**
 * The mean of f(Ĉ_K, K) for a rollout whose true calibrated reward is C, without ties: K·Ĉ_K is binomial.
 *
 * @param {(calibratedReward: number, references: number) => number} estimate f
 * @param {number} references K ≥ 1
 * @param {number} c in (0, 1)
 */
export function exactMean(estimate, references, c) {
  const logFactorial = logFactorials(references);
  const [won, lost] = [Math.log(c), Math.log1p(-c)];
  let sum = 0;
  for (let wins = 0; wins <= references; wins++) {
    const ways = logFactorial[references] - logFactorial[wins] - logFactorial[references - wins];
    const probability = Math.exp(ways + wins * won + (references - wins) * lost);
    sum += probability * estimate(wins / references, references);
  }
  return sum;
}

/**
 * The mean of f(Ĉ_K, K) over rollouts of the reference policy, without ties: where C is uniform, so is the number of wins.
 *
 * @param {(calibratedReward: number, references: number) => number} estimate f
 * @param {number} references K ≥ 1
 */
export function exactMeanOverRollouts(estimate, references) {
  let sum = 0;
  for (let wins = 0; wins <= references; wins++) sum += estimate(wins / references, references);
  return sum / (references + 1);
}

/** A mean over C uniform between two levels, by the midpoint rule. */
export function meanOverLevels(of, from = 0, to = 1, points = 400) {
  let sum = 0;
  for (let i = 0; i < points; i++) sum += of(from + ((i + 0.5) / points) * (to - from));
  return sum / points;
}

const knownFactorials = new Map();

function logFactorials(upTo) {
  if (!knownFactorials.has(upTo)) {
    const logs = new Float64Array(upTo + 1);
    for (let n = 1; n <= upTo; n++) logs[n] = logs[n - 1] + Math.log(n);
    knownFactorials.set(upTo, logs);
  }
  return knownFactorials.get(upTo);
}
