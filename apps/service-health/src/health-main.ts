import { parseArgs } from 'node:util';
import { InputError } from '@infalign/core';
import { askHealth } from '@infalign/rpc';
import { loadServices, type ServiceName } from '@infalign/run-config';
import { ownAddress } from './own-address.js';

/** What the program is given by its process. */
export interface HealthProcess {
  /** Without the interpreter and the script. */
  readonly args: readonly string[];
  /** The services file, where no argument names it. */
  readonly servicesFile: string | undefined;
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
}

const names: ReadonlyMap<string, ServiceName> = new Map([
  ['policy-sampler', 'policySampler'],
  ['reward-scorer', 'rewardScorer'],
  ['calibrator', 'calibrator'],
  ['ppo-learner', 'ppoLearner'],
  ['evaluator', 'evaluator'],
]);

const usage = `Usage: service-health SERVICE [--config FILE]

Asks a service of this machine (${[...names.keys()].join(', ')}) whether it is serving, as its
services file says that it listens. Ends with 0 if it is.

  --config FILE  the services file, as docs/services.md describes it (default: INFALIGN_SERVICES)
  -h, --help     show this help
`;

/**
 * The program.
 *
 * @returns the exit code: 0 if the service is serving; 1 if it is not, does not answer, or the services file cannot be used;
 *   2 for a mistake in the arguments
 */
export async function healthMain({ args, servicesFile, print, printError }: HealthProcess): Promise<number> {
  let config: string | undefined;
  let title: string | undefined;
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { config: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
    if (values.help === true) {
      print(usage);
      return 0;
    }
    if (positionals.length !== 1) throw new Error('name one service');
    [title] = positionals;
    config = values.config ?? servicesFile;
  } catch (error) {
    printError(`service-health: ${error instanceof Error ? error.message : String(error)}\n${usage}`);
    return 2;
  }
  const name = names.get(title!);
  if (name === undefined) {
    printError(`service-health: there is no service ${title}\n${usage}`);
    return 2;
  }
  try {
    if (config === undefined) throw new InputError('no services file: give --config FILE, or set INFALIGN_SERVICES');
    const options = ownAddress(await loadServices(config), name);
    const status = await askHealth(options);
    print(`${title} at ${options.address}: ${status}\n`);
    return status === 'SERVING' ? 0 : 1;
  } catch (error) {
    printError(`service-health: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}
