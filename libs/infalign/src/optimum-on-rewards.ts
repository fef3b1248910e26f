import { assertBeta, type AlignedPolicy } from './aligned-policy.js';
import type { Strength } from './frontier.js';
import { InputError } from './input-error.js';
import { mean } from './mean.js';
import { orderStatisticSurvival, standardProcedure, type OrderStatistic, type Procedure } from './procedure.js';
import { solveForKl } from './solve-for-kl.js';

/** The optimum of KL-regularised RL on rewards as they are, as it is estimated from some of them. */
export interface OptimumOnRewards extends AlignedPolicy {
  /** One for all prompts, in the unit of rewards. */
  readonly beta: number;
}

/**
 * What the best policy reaches that is trained on a reward *as it is*, π ∝ πref·e^{r/β}, estimated from the rewards of πref's
 * responses to some prompts: what calibration, or another transformation, is to be compared with before anything is trained. On
 * a calibrated reward it depends on no prompt and is known exactly (`frontierPoint`); on a raw one it depends on how rewards are
 * distributed on each prompt, and on how far they spread there: β is one for all prompts, so that those where they spread
 * farther take more of the KL. KL and win rates are means over prompts.
 *
 * On a prompt with K rewards πref is taken to be these K responses, each with probability 1/K, and π has the weights
 * softmax(r/β) on them; ties count ½. That there are no better responses than the best of K has a bias of the order of 1/K, which
 * is taken out by halves (Quenouille 1949): 2·(estimate from K) − (mean of the estimates from one and the other K/2). With 100
 * normal rewards on each of 100 prompts, win rates then come out right to half a point up to a KL of 1, and to a point at 2. Where
 * rewards have no upper end, the optimum spends KL on responses that are rarer than 1/K, and the standard win rate comes out too high:
 * by two points at a KL of 1, for Gumbel's distribution.
 *
 * @param rewards of each prompt, in the order in which responses were sampled; finite
 * @param strength a KL in nats, above 0 and at most `largestKlOfRewards`, or a β that comes to no more, above 0
 * @throws InputError if a reward is not finite, or the strength is out of range
 */
export function optimumOnRewards(rewards: readonly ArrayLike<number>[], strength: Strength): OptimumOnRewards {
  const parts = partsOf(rewards);
  const largest = largestKlOf(parts);
  const [asked, least] = 'kl' in strength ? [`a KL of ${strength.kl}`, strength.kl] : [`a β of ${strength.beta}`, 0];
  if (largest === 0 || least > largest) throw tooFew(asked, largest);
  const [whole, ...halves] = parts.map((part) => estimate(part, strength));
  if ('beta' in strength && whole!.kl > largest) throw tooFew(`the KL of ${asked}`, largest);
  const corrected = (of: (estimate: Estimate) => number): number => 2 * of(whole!) - mean(halves.map(of));
  const winRate = (procedure: Procedure): number => {
    const share = corrected((each) => each.winRate(procedure));
    return Math.min(Math.max(share, 0), 1);
  };
  return {
    beta: 'beta' in strength ? strength.beta : corrected((each) => each.beta),
    kl:
      'kl' in strength
        ? strength.kl
        : Math.max(
            0,
            corrected((each) => each.kl),
          ),
    standardWinRate: winRate(standardProcedure),
    winRate,
  };
}

/**
 * The largest KL in nats that rewards can tell of; 0 where they tell of none. With K rewards on a prompt it is ln(K/8) at most: a policy
 * at a KL of k lives on about e^{−k} of πref's responses, and four are left of half of them. It is less where responses share
 * the highest reward, which no policy can choose among.
 *
 * @param rewards as `optimumOnRewards`
 * @throws InputError if a reward is not finite
 */
export function largestKlOfRewards(rewards: readonly ArrayLike<number>[]): number {
  return largestKlOf(partsOf(rewards));
}

function largestKlOf(parts: readonly (readonly Levels[])[]): number {
  const [whole] = parts;
  const fewest = whole!.reduce((least, { responses }) => Math.min(least, responses), Infinity);
  if (whole!.length === 0 || fewest <= 8) return 0;
  const reached = parts.map((prompts) => mean(prompts.map(({ shares }) => -Math.log(shares.at(-1)!))));
  // At the very limit β is 0.
  return Math.min(Math.log(fewest / 8), 0.99 * Math.min(...reached));
}

function tooFew(asked: string, largest: number): InputError {
  const limit = largest === 0 ? 'of none' : `up to ${largest.toPrecision(3)} nats`;
  return new InputError(
    `${asked} is more than these rewards can tell of: they do ${limit}; ask for less, or give more rewards`,
  );
}

/** All rewards of each prompt, and one and the other half of them. */
function partsOf(rewards: readonly ArrayLike<number>[]): Levels[][] {
  const prompts = rewards.map((own, prompt) => finite(own, prompt));
  return [
    prompts.map(levelsOf),
    ...[0, 1].map((parity) => prompts.map((own) => levelsOf(own.filter((_, place) => place % 2 === parity)))),
  ];
}

type Estimate = Pick<OptimumOnRewards, 'beta' | 'kl' | 'winRate'>;

/** Of the policy on all of these responses, as if there were no others. */
function estimate(prompts: readonly Levels[], strength: Strength): Estimate {
  const policyAt = (beta: number) => {
    const shares = prompts.map((levels) => tilted(levels, beta));
    return { shares, kl: mean(shares.map((own, prompt) => relativeEntropy(own, prompts[prompt]!.shares))) };
  };
  if ('beta' in strength) assertBeta(strength.beta);
  const spread = prompts.reduce((most, { values }) => Math.max(most, values.at(-1)! - values[0]!), 0);
  const { beta, policy } =
    'beta' in strength
      ? { beta: strength.beta, policy: policyAt(strength.beta) }
      : solveForKl(strength.kl, policyAt, spread, spread * 1e-12, 'these rewards');
  return {
    beta,
    kl: policy.kl,
    winRate: (procedure) =>
      mean(prompts.map((levels, prompt) => winRateOnPrompt(policy.shares[prompt]!, levels.shares, procedure))),
  };
}

function finite(rewards: ArrayLike<number>, prompt: number): Float64Array {
  const own = Float64Array.from(rewards);
  const wrong = own.find((reward) => !Number.isFinite(reward));
  if (wrong !== undefined) throw new InputError(`a reward of prompt ${prompt} is ${wrong}: it must be finite`);
  return own;
}

/** The different rewards of one prompt, in rising order, each with its share of the responses; and how many these are. */
interface Levels {
  readonly values: readonly number[];
  readonly shares: readonly number[];
  readonly responses: number;
}

function levelsOf(rewards: Float64Array): Levels {
  const values: number[] = [];
  const counts: number[] = [];
  for (const value of rewards.toSorted()) {
    if (values.at(-1) !== value) {
      values.push(value);
      counts.push(0);
    }
    counts[counts.length - 1]!++;
  }
  return { values, shares: counts.map((count) => count / rewards.length), responses: rewards.length };
}

/** π's share of each level on one prompt. */
function tilted({ values, shares }: Levels, beta: number): number[] {
  const highest = values.at(-1)!;
  const unnormalised = values.map((value, level) => shares[level]! * Math.exp((value - highest) / beta));
  const total = unnormalised.reduce((sum, share) => sum + share, 0);
  return unnormalised.map((share) => share / total);
}

function relativeEntropy(policy: readonly number[], reference: readonly number[]): number {
  return policy.reduce(
    (sum, share, level) => (share === 0 ? sum : sum + share * Math.log(share / reference[level]!)),
    0,
  );
}

function winRateOnPrompt(
  shares: readonly number[],
  referenceShares: readonly number[],
  { orderStatistics }: Procedure,
): number {
  return orderStatistics.reduce((sum, statistic) => {
    const policy = chances(shares, statistic);
    const reference = chances(referenceShares, statistic);
    let above = 1;
    let winRate = 0;
    policy.forEach((chance, level) => {
      above -= chance;
      winRate += reference[level]! * (above + chance / 2);
    });
    return sum + statistic.weight * winRate;
  }, 0);
}

/** Probability of each level for the answer that is chosen among draws, from that of each for one draw. */
function chances(shares: readonly number[], statistic: OrderStatistic): number[] {
  const survival = orderStatisticSurvival(statistic);
  let below = 0;
  let before = 1;
  return shares.map((share) => {
    below = Math.min(1, below + share);
    const after = survival(below, 1 - below);
    const chance = before - after;
    before = after;
    return chance;
  });
}
