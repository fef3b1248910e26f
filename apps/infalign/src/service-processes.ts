import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomically, type ProcessIdentity } from '@infalign/checkpoint';
import { InputError } from '@infalign/core';

/** The services, in the order in which rollouts meet them. */
export const serviceTitles = ['policy-sampler', 'reward-scorer', 'calibrator', 'ppo-learner', 'evaluator'] as const;
export type ServiceTitle = (typeof serviceTitles)[number];

/** One process of a service. */
export interface ServiceProcess extends ProcessIdentity {
  readonly title: ServiceTitle;
  /** Counted from 1: several of a service share its work. */
  readonly replica: number;
  /** Where it is called; missing until it listens. */
  readonly address?: string;
  /** How often it was started anew. */
  readonly restarts: number;
}

/** What `infalign up` has started. */
export interface StartedServices {
  /** The process that starts services anew when they end. */
  readonly supervisor: ProcessIdentity;
  /** Where the programs are that it starts. */
  readonly installation?: string;
  /** Folder of the development broker, where one was started with them. */
  readonly brokerFolder?: string;
  readonly processes: readonly ServiceProcess[];
}

const stateName = 'processes.json';

/** What was started with a folder; nothing if nothing was, or it was taken down. */
export function startedServices(folder: string): StartedServices | undefined {
  const file = join(folder, stateName);
  if (!existsSync(file)) return undefined;
  try {
    const started = JSON.parse(readFileSync(file, 'utf8')) as StartedServices & {
      supervisor: ProcessIdentity | number;
    };
    const { supervisor } = started;
    // A supervisor of version 0.1.0 that still runs writes its number alone.
    return { ...started, supervisor: typeof supervisor === 'number' ? { pid: supervisor } : supervisor };
  } catch {
    throw new InputError(`${file}: is damaged. End what it was about by hand, and delete it.`);
  }
}

/** Keeps what was started. */
export function keepStartedServices(folder: string, started: StartedServices): void {
  writeFileAtomically(join(folder, stateName), `${JSON.stringify(started, undefined, 2)}\n`);
}

/** Where the state is kept. */
export function startedServicesFile(folder: string): string {
  return join(folder, stateName);
}

/**
 * What the interpreter of a service is started with, for the service's memory to keep one size for as long as it does the
 * same work. The first lines of the programs say the same, for those who start them by name.
 *
 * By itself V8 lets the old generation grow to four times what is in use before it collects it, and many calls at a time do
 * that within seconds: what a call holds outlives two collections of the young generation. The young generation V8 shrinks
 * when little happens, and lets grow again with the next calls. A process that runs already cannot be told its size.
 */
export const serviceNodeOptions: readonly string[] = ['--heap-growing-percent=30', '--min-semi-space-size=16'];

/** The folder that the programs of this version are in. */
export const installation = fileURLToPath(new URL('../..', import.meta.url));

/** The program of a service. */
export function serviceProgram(title: ServiceTitle): string {
  return join(installation, title, 'bin', `${title}.js`);
}

/**
 * Sends a signal to a process that was started with a folder; nothing if it has ended.
 *
 * @throws InputError if the process is another user's
 */
export function signalProcess(folder: string, { pid }: ProcessIdentity, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH') return;
    if (code !== 'EPERM') throw error;
    throw new InputError(
      `process ${pid} is another user's. End the services as that user; or, if it is none of them, delete ` +
        `${startedServicesFile(folder)}.`,
    );
  }
}
