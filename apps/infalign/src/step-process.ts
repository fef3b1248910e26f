import { fork } from 'node:child_process';
import { InputError } from '@infalign/core';
import type { RunningStep } from '@infalign/experiment';

/** What the process of a step tells the one that started it. */
export type StepMessage =
  | { readonly kind: 'progress'; readonly phase: string; readonly done: number; readonly total: number }
  | { readonly kind: 'failed'; readonly isInputError: boolean; readonly message: string; readonly stack: string };

/** The name of the command that runs one step; it is not for people. */
export const stepCommandName = 'run-step';

/**
 * Starts the process of a step. It ends by itself when this process is gone.
 *
 * @param servicesFile where the services run that carry out its run; without it, the process does so itself
 */
export function startStepProcess(
  name: string,
  out: string,
  servicesFile: string | undefined,
  onProgress: (message: Extract<StepMessage, { kind: 'progress' }>) => void,
): RunningStep {
  const services = servicesFile === undefined ? [] : ['--services', servicesFile];
  const child = fork(process.argv[1]!, [stepCommandName, name, '--out', out, ...services], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  let failure: Error | undefined;
  child.on('message', (message: StepMessage) => {
    if (message.kind === 'progress') onProgress(message);
    else failure = stepError(name, message);
  });
  const finished = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0) resolve();
      else {
        reject(
          failure ??
            new InputError(
              `step ${name} was ended by ${signal ?? `exit code ${code}`}, perhaps for want of memory. ` +
                'What it had done is kept: run again with --resume.',
            ),
        );
      }
    });
  });
  return { finished, stop: () => child.kill('SIGTERM') };
}

function stepError(name: string, { isInputError, message, stack }: Extract<StepMessage, { kind: 'failed' }>): Error {
  const error = isInputError ? new InputError(`step ${name}: ${message}`) : new Error(`step ${name}: ${message}`);
  if (!isInputError) error.stack = stack;
  return error;
}
