{{/*
The services, by their names in values: how each is called by people (also the group that it consumes in), where it listens,
and, for those that are scaled by what waits for them, the groups and topics that show it. What differs between services
in other ways is in values.
*/}}
{{- define "infalign.services" -}}
policySampler:
  title: policy-sampler
  port: 50051
  waits:
    - { group: policy-sampler, topic: sampling.requests }
rewardScorer:
  title: reward-scorer
  port: 50052
  waits:
    - { group: reward-scorer, topic: rollout.sampled }
calibrator:
  title: calibrator
  port: 50053
ppoLearner:
  title: ppo-learner
  port: 50054
evaluator:
  title: evaluator
  port: 50055
  waits:
    - { group: evaluator, topic: rollout.scored }
    - { group: evaluator-requests, topic: policy.versions, perReplica: 1 }
{{- end -}}

{{/* The topics, and which of them are tables. Each has a topic of dead letters beside it. */}}
{{- define "infalign.topics" -}}
- { name: runs, table: true }
- { name: sampling.requests }
- { name: rollout.sampled }
- { name: rollout.scored }
- { name: rollout.calibrated }
- { name: policy.versions, permanent: true }
- { name: calibration.state, table: true }
- { name: calibration.held, table: true }
- { name: calibration.events, permanent: true }
- { name: evaluation.results }
{{- end -}}
