// A fluid simulation of services over Kafka that are scaled by lag: records are a continuous quantity, time goes in steps.
import { autoscaler } from './autoscaler.mjs';

/**
 * @typedef {object} Stage a service and the topic that it reads
 * @property {string} name
 * @property {number} rate records that a replica works off, a second
 * @property {import('./autoscaler.mjs').Scaler} scaler
 * @property {number} [replicas] there from the start, ready; none without it
 *
 * @typedef {object} Group what a consumer group and the cluster take their time for, in seconds
 * @property {number} rebalanceSeconds nobody in the group works so long after somebody came or went: there is no cooperative
 *   rebalancing
 * @property {number} sessionTimeoutSeconds so long after a replica was lost, its partitions go to the others
 * @property {number} startSeconds from a replica's creation until it joins
 * @property {number} replaceSeconds from the loss of a node until Kubernetes creates its pods anew
 * @property {number} [churnSeconds] so often, pods that come and go for other reasons make the group rebalance; never without it
 *
 * @typedef {object} Scenario
 * @property {number} seconds
 * @property {(seconds: number) => number} arrivals records a second that come to the first stage
 * @property {(seconds: number, stage: string) => number} [slowness] a replica's rate is divided by it; 1 without it
 * @property {readonly { at: number, share: number }[]} [losses] such a share of all replicas is lost at a time
 * @property {number} [step] in seconds: 1 without it
 *
 * @typedef {object} StageCourse what became of a stage, a number a step
 * @property {string} name
 * @property {Float64Array} lag records that wait, at the end of the step
 * @property {Float64Array} replicas that are paid for
 * @property {Float64Array} arrived records, from the start on
 * @property {Float64Array} served records, from the start on
 * @property {number} rebalances
 */

/**
 * Lets stages work, each on what the one before has made, which stays in its partition.
 *
 * @param {{ stages: readonly Stage[], partitions: number, group: Group }} system
 * @param {Scenario} scenario
 * @returns {StageCourse[]}
 */
export function simulate({ stages, partitions, group }, { seconds, arrivals, slowness, losses = [], step = 1 }) {
  const steps = Math.round(seconds / step);
  const running = stages.map((stage) => runningStage(stage, partitions, group, steps, step));
  const open = [...losses].sort((a, b) => a.at - b.at);
  for (let index = 0; index < steps; index++) {
    const now = index * step;
    while (open.length > 0 && open[0].at <= now) {
      const { share } = open.shift();
      for (const stage of running) stage.lose(share, now);
    }
    let records = new Float64Array(partitions).fill((arrivals(now) * step) / partitions);
    for (const stage of running) records = stage.advance(index, now, records, slowness?.(now, stage.course.name) ?? 1);
  }
  return running.map(({ course }) => course);
}

function runningStage({ name, rate, scaler, replicas: initial = 0 }, partitions, group, steps, step) {
  const course = {
    name,
    lag: new Float64Array(steps),
    replicas: new Float64Array(steps),
    arrived: new Float64Array(steps),
    served: new Float64Array(steps),
    rebalances: 0,
  };
  const lag = new Float64Array(partitions);
  const { wanted } = autoscaler(scaler, partitions);
  /** Oldest first. `joinsAt`: when it is ready; `lostAt`: when it was lost, `goneAt`: when the group knows. */
  let replicas = Array.from({ length: initial }, () => ({ joinsAt: 0, joined: true, lostAt: Infinity }));
  /** Whose partitions are whose: that of partition p is owners[p % owners.length]. */
  let owners = replicas;
  let pausedUntil = 0;
  let nextChurn = group.churnSeconds ?? Infinity;
  let arrived = 0;
  let served = 0;

  function rebalance(now) {
    owners = replicas.filter((each) => each.joined && now < each.lostAt + group.sessionTimeoutSeconds);
    pausedUntil = now + group.rebalanceSeconds;
    course.rebalances++;
  }

  function membersChange(now) {
    let changed = false;
    for (const replica of replicas) {
      if (!replica.joined && replica.joinsAt <= now) changed = replica.joined = true;
    }
    // Known to be lost, and in the end replaced.
    changed ||= owners.some((each) => each.lostAt + group.sessionTimeoutSeconds <= now);
    for (const replica of replicas.filter((each) => each.lostAt + group.replaceSeconds <= now)) {
      Object.assign(replica, { joinsAt: now + group.startSeconds, joined: false, lostAt: Infinity });
    }
    if (now >= nextChurn) {
      nextChurn += group.churnSeconds;
      changed = true;
    }
    if (changed) rebalance(now);
  }

  function scale(now) {
    const total = lag.reduce((sum, each) => sum + each, 0);
    // Less than a thousandth of a record is none: what is left of a continuous quantity.
    const next = wanted(now, total < 1e-3 ? 0 : total, replicas.length);
    for (let each = replicas.length; each < next; each++) {
      replicas.push({ joinsAt: now + group.startSeconds, joined: false, lostAt: Infinity });
    }
    if (next < replicas.length) {
      const ended = replicas.splice(next);
      if (ended.some((each) => owners.includes(each))) rebalance(now);
    }
  }

  return {
    course,
    lose(share, now) {
      const here = replicas.filter((each) => each.lostAt === Infinity);
      for (const replica of here.slice(0, Math.round(here.length * share))) replica.lostAt = now;
    },
    advance(index, now, records, slowness) {
      for (let partition = 0; partition < partitions; partition++) {
        lag[partition] += records[partition];
        arrived += records[partition];
      }
      membersChange(now);
      scale(now);
      const made = new Float64Array(partitions);
      if (now >= pausedUntil) {
        owners.forEach((owner, place) => {
          if (owner.lostAt <= now) return;
          let waiting = 0;
          for (let partition = place; partition < partitions; partition += owners.length) waiting += lag[partition];
          if (waiting === 0) return;
          const share = Math.min(1, ((rate / slowness) * step) / waiting);
          for (let partition = place; partition < partitions; partition += owners.length) {
            made[partition] = share * lag[partition];
            lag[partition] -= made[partition];
            served += made[partition];
          }
        });
      }
      course.lag[index] = lag.reduce((sum, each) => sum + each, 0);
      course.replicas[index] = replicas.length;
      course.arrived[index] = arrived;
      course.served[index] = served;
      return made;
    },
  };
}

/**
 * How long the record that waits longest waits, in seconds, of those that arrive at a stage, which works them off in order.
 *
 * @param {StageCourse} course
 * @param {number} step of the simulation, in seconds
 */
export function longestWait({ arrived, served }, step = 1) {
  let longest = 0;
  let done = 0;
  for (let index = 0; index < arrived.length; index++) {
    if (index > 0 && arrived[index] === arrived[index - 1]) continue;
    while (done < served.length && served[done] < arrived[index] * (1 - 1e-9)) done++;
    longest = Math.max(longest, (done - index) * step);
  }
  return longest;
}

/** Replicas that are paid for over a course, in seconds. */
export function replicaSeconds({ replicas }, step = 1) {
  return replicas.reduce((sum, each) => sum + each, 0) * step;
}
