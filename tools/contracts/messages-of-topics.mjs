/** The messages that topics carry, by the topic's name. */
export const messagesOfTopics = {
  runs: 'Run',
  'sampling.requests': 'SamplingRequest',
  'rollout.sampled': 'SampledRollout',
  'rollout.scored': 'ScoredRollout',
  'rollout.calibrated': 'CalibratedRollout',
  'policy.versions': 'PolicyVersion',
  'calibration.state': 'CalibrationState',
  'calibration.held': 'HeldRollout',
  'calibration.events': 'CalibrationEvent',
  'evaluation.results': 'EvaluationResult',
};
