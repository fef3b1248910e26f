import { calibrateReward, transformEstimate, type Transformation } from '@infalign/core';
import type { CalibratedRollout, CalibrationState, ScoredRollout } from '@infalign/contracts';

/**
 * Calibrates and transforms the reward of one rollout: `Ĉ = (1/K) Σ w(r, r_k)`, `R_Φ = Φ(Ĉ)` normalised to mean 0 and
 * unit variance under u ~ Uniform(0,1) (InfAlign-CTRL, arXiv 2412.19792, Eq. 12).
 *
 * @param corrected whether the bias of Φ(Ĉ) that comes of a finite K is taken out
 */
export function calibratedRollout(
  scored: ScoredRollout,
  state: CalibrationState,
  transformation: Transformation,
  corrected: boolean,
): CalibratedRollout {
  const references = Float64Array.from(state.references);
  const calibratedReward = calibrateReward(scored.reward!.reward, references);
  return {
    scored,
    calibratedReward,
    transformedReward: transformEstimate(transformation, calibratedReward, references.length, {
      normalised: true,
      corrected,
    }),
    transformation: transformation.name,
    calibrationVersion: state.version,
    references: references.length,
  };
}
