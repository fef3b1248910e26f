/**
 * The settings of autoscaling that the simulation picks: of those with which no rollout waits longer than is allowed at any service
 * in any scenario, the ones that take the fewest replicas.
 */
export const defaults = { secondsOfWork: 20, pollingSeconds: 15, cooldownSeconds: 60 };
