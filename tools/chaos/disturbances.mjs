import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterHealth } from './cluster-health.mjs';
import { networkFaults, planKills } from './disturbance-plan.mjs';
import { replication } from './settings.mjs';

/** How long a broker may take until it is in sync again. */
const recoveryMilliseconds = 120_000;

/**
 * Kills services and brokers while a run goes on, and disturbs the connections to the brokers, until there is nothing left to
 * kill and the signal is aborted. Two brokers are never away at a time: what is acknowledged is on two of three.
 *
 * @param {object} options
 * @param {string | number} options.seed
 * @param {number} options.kills
 * @param {import('../kafka/index.d.mts').KafkaCluster} options.cluster
 * @param {ReturnType<typeof import('./kept-running.mjs').keepServicesRunning>} options.services
 * @param {() => number} options.progress how much of the run is over, from 0 to 1
 * @param {AbortSignal} options.signal aborted when the run is over
 * @param {() => void} options.onDisturbed called when something was killed, and when a broker is back
 * @param {(text: string) => void} options.tell
 * @returns {{ victims: string[], ended: Promise<void> }} who has been killed so far; `ended` when all is as it was before
 */
export function disturb({ seed, kills, cluster, services, progress, signal, onDisturbed, tell }) {
  const plan = planKills(seed, kills);
  // Each kill waits for it.
  setMaxListeners(0, signal);
  const health = clusterHealth(cluster.brokers.plaintext);
  /** @type {string[]} */
  const victims = [];
  const pause = (milliseconds) => sleep(milliseconds, undefined, { signal }).catch(() => undefined);

  async function due({ at, delayMilliseconds }) {
    while (!signal.aborted && progress() < at) await pause(50);
    await pause(delayMilliseconds);
    return !signal.aborted;
  }

  function killed(name, awayMilliseconds) {
    victims.push(name);
    onDisturbed();
    tell(`kill ${victims.length} of ${kills}: ${name}, away for ${(awayMilliseconds / 1000).toFixed(1)} s`);
  }

  async function killService(kill) {
    if (!(await due(kill))) return;
    const name = await services.kill(kill.title, kill.choice, kill.awayMilliseconds, signal);
    if (name !== undefined) killed(name, kill.awayMilliseconds);
  }

  async function killBrokers() {
    for (const kill of plan.brokers) {
      if (!(await due(kill))) return;
      const node = cluster.node(1 + (kill.choice % replication));
      await node.kill();
      killed(`broker-${node.id}`, kill.awayMilliseconds);
      await sleep(kill.awayMilliseconds);
      await node.start();
      await wholeAgain(health, `broker-${node.id}`);
      onDisturbed();
    }
  }

  async function disturbNetwork() {
    for (const fault of networkFaults(seed, replication)) {
      await pause(fault.afterMilliseconds);
      if (signal.aborted) return;
      const { proxy } = cluster.node(fault.broker + 1);
      if (fault.kind === 'delay') proxy.delay(fault.delayMilliseconds);
      else await proxy[fault.kind]();
      tell(`network: ${fault.kind} of broker-${fault.broker + 1} for ${(fault.lastsMilliseconds / 1000).toFixed(1)} s`);
      await pause(fault.lastsMilliseconds);
      proxy.delay(0);
      await proxy.restore();
    }
  }

  const ended = Promise.all([...plan.services.map(killService), killBrokers(), disturbNetwork()]).then(() => undefined);
  return { victims, ended };
}

async function wholeAgain(health, name) {
  for (const deadline = performance.now() + recoveryMilliseconds; !(await health.isWhole()); await sleep(250)) {
    if (performance.now() > deadline) {
      throw new Error(`${name} was started again, and is not in sync after ${recoveryMilliseconds / 1000} s`);
    }
  }
}
