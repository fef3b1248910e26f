import { InputError } from '@infalign/core';
import {
  CalibrationSource,
  Purpose,
  type CalibratedRollout,
  type CalibrationEvent,
  type CalibrationState,
  type CheckpointReference,
  type DeadLetter,
  type EvaluationResult,
  type HeldRollout,
  type PolicyVersion,
  type RewardScore,
  type Run,
  type SampledRollout,
  type SamplingRequest,
  type ScoredRollout,
} from '@infalign/contracts';

// What the comments of the contracts promise of each field, checked. Field names are those of the .proto files, with the
// path from the record; messages read `FIELD: PROBLEM`.

/** @throws InputError naming the field */
export function checkSamplingRequest(request: SamplingRequest): void {
  notEmpty('request_id', request.requestId);
  notEmpty('run_id', request.runId);
  notEmpty('prompt_id', request.promptId);
  atLeastOne('prompt_tokens', request.promptTokens);
  validPurpose('purpose', request.purpose);
  wholeNumber('policy_version', request.policyVersion, 0);
  wholeNumber('samples', request.samples, 1);
  if (request.firstSampleIndex + request.samples > 2 ** 32) {
    reject('samples', `${request.samples} from index ${request.firstSampleIndex} on go beyond the last index there is`);
  }
  positive('temperature', request.temperature);
  positive('top_p', request.topP);
  within('top_p', request.topP, 0, 1);
  wholeNumber('max_response_tokens', request.maxResponseTokens, 1);
  notEmpty('batch_id', request.batchId);
  wholeNumber('batch_requests', request.batchRequests, 1);
}

/** @throws InputError naming the field */
export function checkRun(run: Run): void {
  notEmpty('run_id', run.runId);
  notEmpty('experiment', run.experiment);
  notEmpty('step', run.step);
  withinStore('checkpoints', run.checkpoints);
  checkReference('base_policy', present('base_policy', run.basePolicy));
  checkReference('reward_model', present('reward_model', run.rewardModel));
  if (run.judge) checkReference('judge', run.judge);
  checkReference('text', present('text', run.text));
  for (const [field, offsets] of [
    ['learn_from', run.learnFrom],
    ['scored_from', run.scoredFrom],
    ['evaluated_from', run.evaluatedFrom],
  ] as const) {
    offsets.forEach((offset, partition) => wholeNumber(`${field}[${partition}]`, offset, 0));
  }
}

/** @throws InputError naming the field */
export function checkSampledRollout(rollout: SampledRollout): void {
  checkRollout('', rollout);
}

/** @throws InputError naming the field */
export function checkScoredRollout(scored: ScoredRollout): void {
  checkScored('', scored);
}

/** @throws InputError naming the field */
export function checkCalibratedRollout(calibrated: CalibratedRollout): void {
  checkScored('scored.', present('scored', calibrated.scored));
  within('calibrated_reward', calibrated.calibratedReward, 0, 1);
  finite('transformed_reward', calibrated.transformedReward);
  notEmpty('transformation', calibrated.transformation);
  wholeNumber('calibration_version', calibrated.calibrationVersion, 0);
  wholeNumber('references', calibrated.references, 1);
  if (
    calibrated.source !== CalibrationSource.CALIBRATION_SOURCE_PROMPT &&
    calibrated.source !== CalibrationSource.CALIBRATION_SOURCE_POOLED
  ) {
    reject('source', `${calibrated.source} is not a source of references`);
  }
}

/** @throws InputError naming the field */
export function checkPolicyVersion(version: PolicyVersion): void {
  notEmpty('run_id', version.runId);
  wholeNumber('version', version.version, 0);
  notEmpty('checkpoint', version.checkpoint);
  withinStore('checkpoint', version.checkpoint);
  notEmpty('content_hash', version.contentHash);
  finite('observed_kl', version.observedKl);
  notNegative('target_kl', version.targetKl);
  positive('beta', version.beta);
  wholeNumber('rolled_back_to', version.rolledBackTo, 0);
  if (version.rolledBackTo > 0 && version.rolledBackTo >= version.version) {
    reject('rolled_back_to', `${version.rolledBackTo} is not a version before ${version.version}`);
  }
}

/** @throws InputError naming the field */
export function checkCalibrationState(state: CalibrationState): void {
  notEmpty('prompt_id', state.promptId);
  wholeNumber('version', state.version, 0);
  notEmpty('reward_model_version', state.rewardModelVersion);
  atLeastOne('references', state.references);
  ascending('references', state.references);
  notEmpty('run_id', state.runId);
  allFinite('window', state.window);
  if (state.window.length > 0 && state.window.length !== state.references.length) {
    reject('window', `${state.window.length} values for ${state.references.length} references`);
  }
  wholeNumber('seen', state.seen, state.references.length);
  ascending('baseline', state.baseline);
}

/** @throws InputError naming the field */
export function checkHeldRollout(held: HeldRollout): void {
  checkScored('scored.', present('scored', held.scored));
}

/** @throws InputError naming the field */
export function checkCalibrationEvent(event: CalibrationEvent): void {
  notEmpty('run_id', event.runId);
  notEmpty('prompt_id', event.promptId);
  wholeNumber('calibration_version', event.calibrationVersion, 0);
  const { drift, rewardModelChange } = event;
  if (drift) {
    within('drift.distance', drift.distance, 0, 1);
    within('drift.p_value', drift.pValue, 0, 1);
    wholeNumber('drift.before', drift.before, 1);
    wholeNumber('drift.since', drift.since, 1);
  } else if (rewardModelChange) {
    notEmpty('reward_model_change.before', rewardModelChange.before);
    notEmpty('reward_model_change.since', rewardModelChange.since);
    wholeNumber('reward_model_change.dropped', rewardModelChange.dropped, 0);
  } else reject('event', 'missing');
}

/** @throws InputError naming the field */
export function checkEvaluationResult(result: EvaluationResult): void {
  notEmpty('run_id', result.runId);
  wholeNumber('policy_version', result.policyVersion, 0);
  notEmpty('prompt_id', result.promptId);
  atLeastOne('rewards', result.rewards);
  allFinite('rewards', result.rewards);
  allFinite('judge_rewards', result.judgeRewards);
  if (result.judgeRewards.length > 0 && result.judgeRewards.length !== result.rewards.length) {
    reject('judge_rewards', `${result.judgeRewards.length} values for ${result.rewards.length} samples`);
  }
  finite('kl_exact', result.klExact);
  finite('kl_k1', result.klK1);
  finite('kl_k3', result.klK3);
  notNegative('response_tokens', result.responseTokens);
}

/** @throws InputError naming the field */
export function checkDeadLetter(letter: DeadLetter): void {
  notEmpty('topic', letter.topic);
  notEmpty('reason', letter.reason);
}

function checkScored(path: string, scored: ScoredRollout): void {
  checkRollout(`${path}rollout.`, present(`${path}rollout`, scored.rollout));
  checkScore(`${path}reward.`, present(`${path}reward`, scored.reward));
  if (scored.judge) checkScore(`${path}judge.`, scored.judge);
}

function checkRollout(path: string, rollout: SampledRollout): void {
  notEmpty(`${path}rollout_id`, rollout.rolloutId);
  notEmpty(`${path}run_id`, rollout.runId);
  notEmpty(`${path}prompt_id`, rollout.promptId);
  validPurpose(`${path}purpose`, rollout.purpose);
  wholeNumber(`${path}policy_version`, rollout.policyVersion, 0);
  atLeastOne(`${path}prompt_tokens`, rollout.promptTokens);
  atLeastOne(`${path}response_tokens`, rollout.responseTokens);
  if (rollout.logProbs.length !== rollout.responseTokens.length) {
    reject(
      `${path}log_probs`,
      `${rollout.logProbs.length} values for ${rollout.responseTokens.length} response tokens`,
    );
  }
  rollout.logProbs.forEach((logProb, index) => {
    if (!(Number.isFinite(logProb) && logProb <= 0)) {
      reject(`${path}log_probs[${index}]`, `${logProb} is not a finite number of at most 0`);
    }
  });
  positive(`${path}temperature`, rollout.temperature);
  notEmpty(`${path}batch_id`, rollout.batchId);
  wholeNumber(`${path}batch_rollouts`, rollout.batchRollouts, 1);
}

function checkScore(path: string, score: RewardScore): void {
  notEmpty(`${path}model`, score.model);
  notEmpty(`${path}model_version`, score.modelVersion);
  finite(`${path}reward`, score.reward);
}

function checkReference(path: string, reference: CheckpointReference): void {
  notEmpty(`${path}.name`, reference.name);
  withinStore(`${path}.name`, reference.name);
  notEmpty(`${path}.content_hash`, reference.contentHash);
}

function reject(field: string, problem: string): never {
  throw new InputError(`${field}: ${problem}`);
}

function present<T>(field: string, value: T | undefined): T {
  return value ?? reject(field, 'missing');
}

function notEmpty(field: string, value: string): void {
  if (value === '') reject(field, 'empty');
}

function atLeastOne(field: string, values: readonly number[]): void {
  if (values.length === 0) reject(field, 'empty; at least one value is needed');
}

function withinStore(field: string, path: string): void {
  if (/^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)/.test(path)) {
    reject(field, `${JSON.stringify(path)} is not a relative path within the checkpoint store`);
  }
}

function finite(field: string, value: number): void {
  if (!Number.isFinite(value)) reject(field, `${value} is not a finite number`);
}

function allFinite(field: string, values: readonly number[]): void {
  values.forEach((value, index) => {
    if (!Number.isFinite(value)) reject(`${field}[${index}]`, `${value} is not a finite number`);
  });
}

function ascending(field: string, values: readonly number[]): void {
  allFinite(field, values);
  values.forEach((value, index) => {
    if (index > 0 && value < values[index - 1]!) {
      reject(`${field}[${index}]`, `${value} is less than the one before it; they must ascend`);
    }
  });
}

function positive(field: string, value: number): void {
  finite(field, value);
  if (value <= 0) reject(field, `${value} is not greater than 0`);
}

function notNegative(field: string, value: number): void {
  finite(field, value);
  if (value < 0) reject(field, `${value} is less than 0`);
}

function within(field: string, value: number, low: number, high: number): void {
  if (!(value >= low && value <= high)) reject(field, `${value} is outside [${low}, ${high}]`);
}

function wholeNumber(field: string, value: number, low: number): void {
  if (!Number.isSafeInteger(value) || value < low) reject(field, `${value} is not a whole number of at least ${low}`);
}

function validPurpose(field: string, purpose: Purpose): void {
  if (
    purpose !== Purpose.PURPOSE_REFERENCE &&
    purpose !== Purpose.PURPOSE_TRAINING &&
    purpose !== Purpose.PURPOSE_EVALUATION
  ) {
    reject(field, `${purpose} is not a purpose`);
  }
}
