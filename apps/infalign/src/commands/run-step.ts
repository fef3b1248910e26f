import { homedir } from 'node:os';
import { join } from 'node:path';
import { InputError } from '@infalign/core';
import { Command } from 'commander';
import { servicesOptions } from '../services-options.js';
import { stepCommandName, type StepMessage } from '../step-process.js';

/** The process of one step of an experiment, as `infalign run` starts it. */
export function runStepCommand(): Command {
  return new Command(stepCommandName)
    .description('Runs one step of an experiment; started by infalign run.')
    .argument('<step>', 'name of the step')
    .requiredOption('--out <folder>', 'folder of the experiment')
    .option('--services <file>', 'where the services run that carry out its run')
    .action(runStepHere);
}

async function runStepHere(name: string, { out, services }: { out: string; services?: string }): Promise<void> {
  // The process that started this one is gone, or asks it to end: what has been stored is enough to go on from.
  const end = (): never => process.exit(1);
  process.on('disconnect', end);
  try {
    const { loadBackend } = await import('@infalign/backend');
    const { carryOutHere, carryOutOnServices, experimentFolder, openExperiment, runStep } =
      await import('@infalign/experiment');
    const experiment = openExperiment(out);
    await loadBackend({ threads: experiment.machine.threads, environment: process.env });
    await runStep(name, {
      experiment,
      folder: experimentFolder(out),
      cacheFolder: process.env.INFALIGN_CACHE ?? join(homedir(), '.cache', 'infalign'),
      carryOut: services === undefined ? carryOutHere : carryOutOnServices(await servicesOptions(services)),
      progress: (phase, done, total) => send({ kind: 'progress', phase, done, total }),
    });
    process.off('disconnect', end);
    process.disconnect?.();
  } catch (error) {
    const known = error instanceof Error ? error : new Error(String(error));
    await send({
      kind: 'failed',
      isInputError: error instanceof InputError,
      message: known.message,
      stack: known.stack ?? known.message,
    });
    process.exit(1);
  }
}

/** Sends a message and waits until it has left, and signals and messages that have come in were seen. */
function send(message: StepMessage): Promise<void> {
  return new Promise((resolve) => {
    const sent = process.send?.(message, undefined, undefined, () => setImmediate(resolve));
    if (sent === undefined) setImmediate(resolve);
  });
}
