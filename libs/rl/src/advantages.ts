/** The advantages and value targets of one rollout, both of shape [T]. */
export interface AdvantageEstimate {
  readonly advantages: Float64Array;
  readonly returns: Float64Array;
}

/** Parameters of {@link generalisedAdvantages}. */
export interface GeneralisedAdvantageSettings {
  /** γ, the discount per token, in [0, 1]. */
  readonly discount: number;
  /** λ in [0, 1]: 0 trusts the values (one-step temporal difference), 1 trusts the rewards (Monte Carlo). */
  readonly gaeLambda: number;
}

/**
 * Generalised advantage estimation over one finished rollout.
 *
 *     δ_t = r_t + γ·V_{t+1} − V_t,   V_T = 0
 *     A_t = δ_t + γλ·A_{t+1},        A_T = 0
 *     returns_t = A_t + V_t
 *
 * Schulman et al., "High-Dimensional Continuous Control Using Generalized Advantage Estimation" (arXiv 1506.02438),
 * Eq. 16. The rollout is taken to end after its last token: nothing is bootstrapped beyond it.
 *
 * @param rewards r_t, shape [T], T ≥ 1: the reward received for token t
 * @param values V_t, shape [T]: the value of the state in which token t is chosen
 * @throws Error if the shapes differ, or a parameter is out of range
 */
export function generalisedAdvantages(
  rewards: ArrayLike<number>,
  values: ArrayLike<number>,
  { discount, gaeLambda }: GeneralisedAdvantageSettings,
): AdvantageEstimate {
  if (rewards.length !== values.length) {
    throw new Error(`rewards [${String(rewards.length)}] and values [${String(values.length)}] differ in shape`);
  }
  if (!(discount >= 0 && discount <= 1 && gaeLambda >= 0 && gaeLambda <= 1)) {
    throw new Error(`discount ${String(discount)} and gaeLambda ${String(gaeLambda)} must lie in [0, 1]`);
  }
  const advantages = new Float64Array(rewards.length);
  const returns = new Float64Array(rewards.length);
  let nextValue = 0;
  let nextAdvantage = 0;
  for (let t = rewards.length - 1; t >= 0; t--) {
    const value = values[t]!;
    nextAdvantage = rewards[t]! + discount * nextValue - value + discount * gaeLambda * nextAdvantage;
    nextValue = value;
    advantages[t] = nextAdvantage;
    returns[t] = nextAdvantage + value;
  }
  return { advantages, returns };
}

/**
 * Undiscounted returns-to-go of one rollout: G_t = Σ_{s ≥ t} r_s.
 *
 * @param rewards r_t, shape [T]
 * @returns shape [T]
 */
export function returnsToGo(rewards: ArrayLike<number>): Float64Array {
  const returns = new Float64Array(rewards.length);
  let sum = 0;
  for (let t = rewards.length - 1; t >= 0; t--) returns[t] = sum += rewards[t]!;
  return returns;
}

/**
 * Advantages against a leave-one-out baseline over the rollouts of one prompt: what the other rollouts, at the same
 * position, still had to come.
 *
 *     A_{i,t} = G_{i,t} − 1/(n−1) · Σ_{j ≠ i} G_{j, min(t, T_j − 1)}
 *
 * The baseline of rollout i does not depend on its own tokens, so the policy gradient stays unbiased, without a value
 * head. After REINFORCE leave-one-out (Kool et al. 2019; Ahmadian et al., arXiv 2402.14740), which subtracts the mean
 * whole return; here it is taken position by position, because the KL penalties a rollout has already paid are not the
 * next token's doing. A rollout that ended before t counts with its last reward.
 *
 * @param rewards per rollout of the *same prompt* its r_t, shapes [T_i], T_i ≥ 1; at least 2 rollouts
 * @returns advantages and returns-to-go per rollout, shapes [T_i]
 * @throws Error with fewer than 2 rollouts, or an empty one
 */
export function leaveOneOutAdvantages(rewards: readonly ArrayLike<number>[]): AdvantageEstimate[] {
  const others = rewards.length - 1;
  if (others < 1) throw new Error('a leave-one-out baseline needs at least 2 rollouts of the same prompt');
  const returns = rewards.map(returnsToGo);
  const longest = Math.max(...returns.map((each) => each.length));
  const total = new Float64Array(longest);
  for (const each of returns) {
    if (each.length === 0) throw new Error('a rollout without tokens has no advantage');
    for (let t = 0; t < longest; t++) total[t]! += each[Math.min(t, each.length - 1)]!;
  }
  return returns.map((own) => ({
    advantages: own.map((value, t) => value - (total[t]! - value) / others),
    returns: own,
  }));
}

/**
 * Each of several returns less the mean of the others (Kool et al., "Buy 4 REINFORCE samples, get a baseline for free!", 2019).
 *
 * @param returns shape [n], n ≥ 2
 * @returns shape [n]
 * @throws Error with fewer than 2
 */
export function leaveOneOut(returns: readonly number[]): number[] {
  const others = returns.length - 1;
  if (others < 1) throw new Error('a leave-one-out baseline needs at least 2 rollouts of the same prompt');
  const total = returns.reduce((sum, value) => sum + value, 0);
  return returns.map((value) => value - (total - value) / others);
}

/**
 * Shifts and scales to mean 0 and (population) variance 1, over all tokens of a batch together:
 * `(x − mean) / √(variance + ε)`, ε = 1e-8. Constant input gives zeros.
 *
 * For advantages only. Whitening rewards would rescale the transformation Φ and so change β.
 *
 * @param values shape [n]
 * @returns shape [n]
 */
export function whiten(values: ArrayLike<number>): Float64Array {
  const n = values.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += values[i]!;
  const mean = sum / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (values[i]! - mean) ** 2;
  const scale = 1 / Math.sqrt(squares / n + 1e-8);
  return Float64Array.from(values, (value) => (value - mean) * scale);
}
