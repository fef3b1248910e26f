// Replicas as KEDA and Kubernetes' horizontal pod autoscaler (HPA) set them by consumer lag.

/** How often the HPA looks, in seconds (kube-controller-manager's --horizontal-pod-autoscaler-sync-period). */
export const hpaSyncSeconds = 15;

/** The HPA leaves replicas as they are where lag for each is so near to the threshold (…-tolerance). */
const tolerance = 0.1;

/** Its default behaviour: up by 100 % or 4 pods in 15 s, whichever is more; down at once, to the most it wanted in 5 minutes. */
const scaleUp = { factor: 2, pods: 4 };
export const scaleDownStabilisationSeconds = 300;

/**
 * @typedef {object} Scaler settings of a ScaledObject with a Kafka trigger
 * @property {number} lagThreshold records that wait for each replica
 * @property {number} pollingSeconds how often KEDA looks whether there is any lag, to start the first replica
 * @property {number} cooldownSeconds how long there must have been none until the last replica goes
 * @property {number} maximum replicas; KEDA has no more than there are partitions in any case
 */

/**
 * An autoscaler of one deployment, from zero replicas on.
 *
 * @param {Scaler} scaler
 * @param {number} partitions of the topic
 * @returns {{ wanted: (seconds: number, lag: number, replicas: number) => number }} asked once a second at least: how many
 *   replicas there are to be
 */
export function autoscaler({ lagThreshold, pollingSeconds, cooldownSeconds, maximum }, partitions) {
  const most = Math.min(maximum, partitions);
  /** What the HPA wanted, with its time: the last five minutes of it. */
  let recommendations = [];
  let nextPoll = 0;
  let nextSync = 0;
  let lastActive = -Infinity;
  return {
    wanted(seconds, lag, replicas) {
      let next = replicas;
      if (seconds >= nextPoll) {
        nextPoll = seconds + pollingSeconds;
        if (lag > 0) lastActive = seconds;
        if (lag > 0 && next === 0) next = 1;
        if (lag === 0 && seconds - lastActive > cooldownSeconds) next = 0;
      }
      if (next === 0) {
        recommendations = [];
        return 0;
      }
      if (seconds < nextSync) return next;
      nextSync = seconds + hpaSyncSeconds;
      const counted = Math.min(lag, partitions * lagThreshold);
      const desired = desiredReplicas(counted, lagThreshold, next);
      recommendations = recommendations.filter((each) => each.seconds > seconds - scaleDownStabilisationSeconds);
      recommendations.push({ seconds, desired });
      const stable = Math.max(desired, ...recommendations.map((each) => Math.min(each.desired, next)));
      return Math.min(Math.max(1, stable), most, Math.max(next * scaleUp.factor, next + scaleUp.pods));
    },
  };
}

/** What the HPA computes of an external metric with a target of type AverageValue. */
export function desiredReplicas(lag, lagThreshold, replicas) {
  const ratio = lag / (lagThreshold * replicas);
  return Math.abs(ratio - 1) <= tolerance ? replicas : Math.ceil(lag / lagThreshold);
}
