import { rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeSafetensors,
  encodeSafetensors,
  hasCheckpoint,
  publishCheckpoint,
  readCheckpoint,
} from '@infalign/checkpoint';
import type { LanguageModel, Trainer } from '@infalign/language-model';

/** A training that can be cut off at any moment and gone on with, to the same weights. */
export interface ResumableTraining<Log> {
  /** Where its state is kept while it goes on. */
  readonly folder: string;
  readonly model: LanguageModel;
  readonly trainer: Trainer;
  readonly steps: number;
  /** What has been recorded so far, as JSON data: changed by `step`, stored with the state. */
  readonly log: Log;
  /** One optimiser step, counted from 0: a function of its number and the weights alone. */
  step(index: number, log: Log): void;
  onProgress(done: number): Promise<void>;
}

/** How often the state is stored: what is lost at most when the process is killed. */
const secondsBetweenCheckpoints = 15;

/** Trains to the end, from the state that an earlier attempt left, if it left one. @returns what was recorded */
export async function trainResumably<Log>(training: ResumableTraining<Log>): Promise<Log> {
  const { folder, model, trainer, steps } = training;
  const state = join(folder, 'state');
  let { log } = training;
  let done = 0;
  if (hasCheckpoint(state)) {
    const { files, metadata } = readCheckpoint(state);
    const stored = metadata as { readonly done: number; readonly optimiserSteps: number; readonly log: Log };
    model.load(decodeSafetensors(files.get('weights.safetensors')!, join(state, 'weights.safetensors')));
    const moments = decodeSafetensors(files.get('optimiser.safetensors')!, join(state, 'optimiser.safetensors'));
    trainer.load({ moments, steps: stored.optimiserSteps });
    ({ done, log } = stored);
  }
  let storedAt = performance.now();
  while (done < steps) {
    training.step(done, log);
    done++;
    await training.onProgress(done);
    if (performance.now() - storedAt > secondsBetweenCheckpoints * 1000) {
      const { moments, steps: optimiserSteps } = trainer.optimiserState();
      const files = new Map([
        ['weights.safetensors', encodeSafetensors(model.weights())],
        ['optimiser.safetensors', encodeSafetensors(moments)],
      ]);
      publishCheckpoint(state, files, { done, optimiserSteps, log });
      storedAt = performance.now();
    }
  }
  return log;
}

/** Removes the state of a training whose result has been stored. */
export function forgetTraining(folder: string): void {
  rmSync(join(folder, 'state'), { recursive: true, force: true });
}
