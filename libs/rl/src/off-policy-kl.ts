/**
 * KL(π ‖ πref) in nats a response, from rollouts that another policy μ has sampled: the exact KL between next-token
 * distributions at every position, each weighted by how much likelier π is to come there than μ,
 *
 *     Σ_t Σ_i w_{i,t}·k_{i,t} / Σ_i w_{i,t},   w_{i,t} = Π_{s<t} π(y_s)/μ(y_s)
 *
 * with k = 0 and a constant weight after the end of a response. Weights are normalised, which bounds their variance (Owen, "Monte
 * Carlo theory, methods and examples", 2013, §9.2): consistent, with a bias of the order of one over the number of rollouts.
 *
 * @param tokenKl k_{i,t}, one array a rollout, shapes [T_i]
 * @param logRatios log π − log μ of the tokens that were sampled, shapes [T_i]
 * @returns NaN without rollouts
 */
export function offPolicyKl(tokenKl: readonly ArrayLike<number>[], logRatios: readonly ArrayLike<number>[]): number {
  const longest = tokenKl.reduce((most, { length }) => Math.max(most, length), 0);
  const logWeights = new Float64Array(tokenKl.length);
  let kl = tokenKl.length === 0 ? NaN : 0;
  for (let t = 0; t < longest; t++) {
    const largest = logWeights.reduce((most, value) => Math.max(most, value), -Infinity);
    let [sum, total] = [0, 0];
    for (let i = 0; i < tokenKl.length; i++) {
      const weight = Math.exp(logWeights[i]! - largest);
      total += weight;
      if (t >= tokenKl[i]!.length) continue;
      sum += weight * tokenKl[i]![t]!;
      logWeights[i]! += logRatios[i]![t]!;
    }
    kl += sum / total;
  }
  return kl;
}
