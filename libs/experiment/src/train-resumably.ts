import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSafetensors, encodeSafetensors, openFolderStore } from '@infalign/checkpoint';
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

const stateName = 'state';

/** Trains to the end, from the state that an earlier attempt left, if it left one. @returns what was recorded */
export async function trainResumably<Log>(training: ResumableTraining<Log>): Promise<Log> {
  const { folder, model, trainer, steps } = training;
  // A store has the earlier state until it has the new one, whenever the process is killed.
  const store = openFolderStore(folder, { leftoverGraceMs: 0 });
  // The folder is this process's alone: what others have begun to write there was cut off.
  const removeLeftovers = (): Promise<void> => store.retain('', () => true);
  await removeLeftovers();
  let { log } = training;
  let done = 0;
  if (await store.has(stateName)) {
    const { files, metadata } = await store.read(stateName);
    const stored = metadata as { readonly done: number; readonly optimiserSteps: number; readonly log: Log };
    const arrays = (name: string) => decodeSafetensors(files.get(name)!, join(folder, stateName, name));
    model.load(arrays('weights.safetensors'));
    trainer.load({ moments: arrays('optimiser.safetensors'), steps: stored.optimiserSteps });
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
      await store.publish(stateName, files, { done, optimiserSteps, log });
      await removeLeftovers();
      storedAt = performance.now();
    }
  }
  return log;
}

/** Removes the state of a training, if there was one, whose step is done. */
export function forgetTraining(folder: string): void {
  rmSync(join(folder, stateName), { recursive: true, force: true });
}
