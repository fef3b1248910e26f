/** The state of the controller that finds the β for a wanted KL. Plain data: it goes into checkpoints as it is. */
export interface TargetKlState {
  /** The wanted KL(π ‖ πref) in nats a response, > 0. */
  readonly targetKl: number;
  /** Measurements that the whole training will take, ≥ 1. */
  readonly iterations: number;
  /** Measurements taken. */
  readonly iteration: number;
  /** β the controller started from, > 0. */
  readonly initialBeta: number;
  /** β to use now. */
  readonly beta: number;
  /**
   * Factor for the policy's displacement from πref, in the weights, after this iteration's updates: 1 but in the last
   * tenth of training.
   */
  readonly displacementScale: number;
  /** The integral term, in log β. */
  readonly integral: number;
  /** The measured KL, smoothed; null before the first measurement. */
  readonly smoothedKl: number | null;
  /** Smoothed change of the KL per iteration, in nats. */
  readonly trend: number;
}

// Found on a model of training over a wide range of gains, noise and speeds (target-kl.test.ts simulates it).
const PROPORTIONAL_GAIN = 0.5;
const INTEGRAL_GAIN = 0.15;
/** How many iterations ahead the controller looks. */
const HORIZON = 4;
/** The share of training over which the controller comes in: a policy that sets out is far below any target. */
const APPROACH = 0.3;
/** The relative learning rate below which the gains no longer grow. */
const MIN_RELATIVE_RATE = 1 / 4;
const KL_SMOOTHING = 0.5;
const TREND_SMOOTHING = 0.2;
/** Errors beyond this share of the target count as this much. */
const MAX_ERROR = 0.7;
/** The most that log β moves in one iteration. */
const MAX_STEP = 0.25;
/** How far log β may go from where it started: a factor of 20 either way. */
const MAX_DISTANCE = Math.log(20);
/** The share of training, its last, in which the displacement is scaled. */
const LANDING = 0.1;
/** The displacement is scaled by this much at most in one iteration, or its inverse. */
const MAX_SCALE = 1.25;

/**
 * The controller's state before the first iteration.
 *
 * @param targetKl the wanted KL in nats a response, > 0
 * @param initialBeta the β whose exact optimum has that KL (from the frontier of the transformation), on the scale of
 *   the rewards, > 0
 * @param iterations measurements that the whole training will take, ≥ 1
 * @throws Error if one is not a positive, finite number
 */
export function initialTargetKlState(targetKl: number, initialBeta: number, iterations: number): TargetKlState {
  if (!(targetKl > 0 && initialBeta > 0 && iterations >= 1 && Number.isFinite(targetKl + initialBeta + iterations))) {
    throw new Error(`target KL ${String(targetKl)} and initial β ${String(initialBeta)} must be positive numbers`);
  }
  return {
    targetKl,
    iterations,
    iteration: 0,
    initialBeta,
    beta: initialBeta,
    displacementScale: 1,
    integral: 0,
    smoothedKl: null,
    trend: 0,
  };
}

/**
 * One step of the controller: takes the KL measured in this iteration i of n and gives the β for it.
 *
 *     e = clip((KL + h·dKL/di) / KL_target − 1, −0.7, 0.7)     h = min(4, n − i): of the KL predicted h iterations ahead
 *     g = min(1, i / 0.3n) / max(η, 1/4)                      η the learning rate, relative to its peak
 *     I ← I + K_I·g·e
 *     log β = log β_0 + I + K_P·g·e, moving at most 0.25 an iteration, and log 20 in all
 *     θ ← θ_ref + √(KL_target / KL)·(θ − θ_ref)                for i > 0.9n, by at most a quarter
 *
 * The steps of a policy are proportional to its learning rate, so what β does to the KL in one iteration is too. Gains of
 * 1/η keep the loop as quick as it was when the learning rate decays: with constant gains, a policy loses the KL that came
 * of the noise of its early updates faster than β follows, and ends below its target.
 *
 * A policy that has only begun to move is below its target without β being wrong, and a β far from the optimum's costs
 * it reward: a low one lets it overshoot, and with a high one the penalty's own noise drowns the rewards. So the gains
 * rise from zero over the first 0.3 of training, which begins at the β of the optimum. The error is that of a prediction,
 * which keeps the integral from winding up on the rest of the way. What is corrected is that training lags behind the
 * optimum of its β, that a policy of limited capacity does not attain it, and that update noise has a KL of its own.
 *
 * At the end the learning rate is too low for any β to make up for what is left of the error. There the policy is moved
 * along the line from πref through it, along which the KL grows as the square of the distance, to leading order, and the
 * reward with it: Wortsman et al., arXiv 2109.01903; Ramé et al., arXiv 2406.16768 (interpolation towards the
 * initialisation). As this goes on for several iterations, each measured, what the square leaves over is corrected too.
 *
 * The idea of a controlled KL coefficient: Ziegler et al., arXiv 1909.08593, §2.2 (there proportional, in log β).
 *
 * @param measuredKl KL(π ‖ πref) in nats a response, ≥ 0 up to the noise of its estimate
 * @param relativeRate this iteration's learning rate over that of the run's peak, in [0, 1]
 * @throws Error if one of them is not finite
 */
export function updateTargetKl(state: TargetKlState, measuredKl: number, relativeRate: number): TargetKlState {
  if (!Number.isFinite(measuredKl + relativeRate)) {
    throw new Error(
      `the measured KL and the relative learning rate must be finite, not ${String(measuredKl)} and ${String(relativeRate)}`,
    );
  }
  const iteration = state.iteration + 1;
  const smoothedKl =
    state.smoothedKl === null ? measuredKl : state.smoothedKl + KL_SMOOTHING * (measuredKl - state.smoothedKl);
  const change = state.smoothedKl === null ? 0 : smoothedKl - state.smoothedKl;
  const trend = state.trend + TREND_SMOOTHING * (change - state.trend);
  const horizon = Math.min(HORIZON, Math.max(0, state.iterations - iteration));
  const error = clip((smoothedKl + horizon * trend) / state.targetKl - 1, MAX_ERROR);
  const gain = Math.min(1, iteration / (APPROACH * state.iterations)) / Math.max(relativeRate, MIN_RELATIVE_RATE);
  const integral = clip(state.integral + INTEGRAL_GAIN * gain * error, MAX_DISTANCE);
  const wanted = clip(integral + PROPORTIONAL_GAIN * gain * error, MAX_DISTANCE);
  const distance = Math.log(state.beta / state.initialBeta);
  const beta = state.initialBeta * Math.exp(distance + clip(wanted - distance, MAX_STEP));
  const displacementScale = iteration > (1 - LANDING) * state.iterations ? landingScale(state.targetKl, smoothedKl) : 1;
  // The KL that the scaled policy is expected to have: the next measurement is compared with it.
  const expectedKl = smoothedKl * displacementScale ** 2;
  return { ...state, iteration, beta, displacementScale, integral, smoothedKl: expectedKl, trend };
}

function landingScale(targetKl: number, kl: number): number {
  return Math.exp(clip(0.5 * Math.log(targetKl / Math.max(kl, Number.MIN_VALUE)), Math.log(MAX_SCALE)));
}

function clip(value: number, bound: number): number {
  return Math.min(bound, Math.max(-bound, value));
}
