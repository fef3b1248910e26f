/** The state of the controller that finds the β for a wanted KL. Plain data: it goes into checkpoints as it is. */
export interface TargetKlState {
  /** The wanted KL(π ‖ πref) in nats a response, > 0. */
  readonly targetKl: number;
  /** Iterations over which the KL that is aimed at rises to the target, ≥ 1. */
  readonly rampIterations: number;
  /** Measurements taken. */
  readonly iteration: number;
  /** β the controller started from, > 0. */
  readonly initialBeta: number;
  /** β to use now. */
  readonly beta: number;
  /** The integral term, in log β. */
  readonly integral: number;
  /** The measured KL, smoothed; null before the first measurement. */
  readonly smoothedKl: number | null;
  /** Smoothed change of the KL per iteration, in nats. */
  readonly trend: number;
}

// Found on a first-order plant over a wide range of gains, delays and speeds (target-kl.test.ts simulates it).
const PROPORTIONAL_GAIN = 0.75;
const INTEGRAL_GAIN = 0.13;
/** How many iterations ahead the controller looks. */
const HORIZON = 6;
const KL_SMOOTHING = 0.4;
const TREND_SMOOTHING = 0.2;
/** Errors beyond this share of the target count as this much. */
const MAX_ERROR = 0.7;
/** The most that log β moves in one iteration. */
const MAX_STEP = 0.25;
/** How far log β may go from where it started: a factor of 20 either way. */
const MAX_DISTANCE = Math.log(20);

/**
 * The controller's state before the first iteration.
 *
 * @param targetKl the wanted KL in nats a response, > 0
 * @param initialBeta the β whose exact optimum has that KL (from the frontier of the transformation), on the scale of
 *   the rewards, > 0
 * @param rampIterations iterations over which the KL that is aimed at rises linearly to the target, ≥ 1
 * @throws Error if one is not a positive, finite number
 */
export function initialTargetKlState(targetKl: number, initialBeta: number, rampIterations: number): TargetKlState {
  if (!(
    targetKl > 0 &&
    initialBeta > 0 &&
    rampIterations >= 1 &&
    Number.isFinite(targetKl + initialBeta + rampIterations)
  )) {
    throw new Error(`target KL ${String(targetKl)} and initial β ${String(initialBeta)} must be positive numbers`);
  }
  return {
    targetKl,
    rampIterations,
    iteration: 0,
    initialBeta,
    beta: initialBeta,
    integral: 0,
    smoothedKl: null,
    trend: 0,
  };
}

/**
 * One step of the controller: takes the KL measured in this iteration i and gives the β for it.
 *
 *     a_j = KL_target·min(1, j/R)                            the KL aimed at in iteration j
 *     e = clip((KL + H·dKL/di) / a_{i+H} − 1, −0.7, 0.7)     of the KL predicted H iterations ahead
 *     I ← I + K_I·e
 *     log β = log β_0 + ½·log(KL_target/a_i) + I + K_P·e, moving at most 0.25 an iteration after the first, and log 20 in all
 *
 * A policy that has only begun to move is far below its target without β being wrong. So the aim rises with the training
 * (over R iterations) and the error is that of a prediction: neither lets the integral wind up during the approach, after
 * which a policy would overshoot and lose what it has learned on the way back. Near the reference policy the optimum has
 * KL ∝ 1/β²: hence the second term. The rest corrects that training lags behind the optimum of its β, and that a policy of
 * limited capacity does not attain it.
 *
 * The idea of a controlled KL coefficient: Ziegler et al., arXiv 1909.08593, §2.2 (there proportional, in log β).
 *
 * @param measuredKl KL(π ‖ πref) in nats a response, ≥ 0 up to the noise of its estimate
 * @throws Error if the measurement is not finite
 */
export function updateTargetKl(state: TargetKlState, measuredKl: number): TargetKlState {
  if (!Number.isFinite(measuredKl)) throw new Error(`the measured KL must be finite, not ${String(measuredKl)}`);
  const aim = (iteration: number): number => state.targetKl * Math.min(1, iteration / state.rampIterations);
  const iteration = state.iteration + 1;
  const smoothedKl =
    state.smoothedKl === null ? measuredKl : state.smoothedKl + KL_SMOOTHING * (measuredKl - state.smoothedKl);
  const change = state.smoothedKl === null ? 0 : smoothedKl - state.smoothedKl;
  const trend = state.trend + TREND_SMOOTHING * (change - state.trend);
  const error = clip((smoothedKl + HORIZON * trend) / aim(iteration + HORIZON) - 1, MAX_ERROR);
  const integral = clip(state.integral + INTEGRAL_GAIN * error, MAX_DISTANCE);
  const ahead = 0.5 * Math.log(state.targetKl / aim(iteration));
  const wanted = clip(ahead + integral + PROPORTIONAL_GAIN * error, MAX_DISTANCE);
  const distance = state.iteration === 0 ? wanted : Math.log(state.beta / state.initialBeta);
  const beta = state.initialBeta * Math.exp(distance + clip(wanted - distance, MAX_STEP));
  return { ...state, iteration, beta, integral, smoothedKl, trend };
}

function clip(value: number, bound: number): number {
  return Math.min(bound, Math.max(-bound, value));
}
