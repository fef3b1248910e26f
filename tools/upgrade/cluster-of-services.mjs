import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { loadServices } from '@infalign/run-config';
import { createLogger } from '@infalign/telemetry';
import { listening } from '../chaos/chaos.mjs';
import { keepServicesRunning, program } from '../chaos/kept-running.mjs';
import { serviceTitles, servicesFile } from '../chaos/settings.mjs';
import { startCluster } from '../kafka/index.mjs';
import { freePorts } from '../kafka/ports.mjs';

export const logger = createLogger({ service: 'upgrade', level: 'error' });

/**
 * Starts one broker and the five services, two of some.
 *
 * @param {object} options
 * @param {string} options.folder for logs and settings
 * @param {string} options.brokerFolder a broker that is there goes on
 * @param {string} options.store folder of the checkpoint store
 * @param {string} [options.checkout] whose programs are started
 * @param {(text: string) => void} options.tell
 */
export async function startClusterOfServices({ folder, brokerFolder, store, checkout, tell }) {
  for (const path of [folder, store]) mkdirSync(path, { recursive: true });
  const cluster = await startCluster({ folder: brokerFolder, timeoutSeconds: 180 });
  try {
    const numbers = await freePorts(serviceTitles.length);
    const ports = Object.fromEntries(serviceTitles.map((title, index) => [title, numbers[index]]));
    const file = join(folder, 'services.yaml');
    writeFileSync(file, servicesFile({ brokers: cluster.brokers.plaintext, store, ports, copies: 1 }));
    const services = await loadServices(file);
    // Services of 0.1.0 give up where a broker that has just started does not yet take topics.
    execFileSync(process.execPath, [program('infalign'), 'topics', '--services', file], { stdio: 'ignore' });
    const processes = keepServicesRunning({ folder, servicesFile: file, checkout, tell });
    try {
      await Promise.all(Object.values(ports).map(listening));
    } catch (error) {
      await processes.stop();
      throw error;
    }
    return {
      file,
      services,
      processes,
      async stop() {
        await processes.stop();
        await cluster.stop();
      },
      /** As when all machines lose their power at once. */
      async killAll() {
        // A broker that is still dying does not keep this process from its end.
        const awake = setInterval(() => undefined, 1000);
        await Promise.all([cluster.node(1).kill(), processes.killAll()]);
        await cluster.stop();
        clearInterval(awake);
      },
    };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}
