import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '@infalign/core';
import { writeFileAtomically } from '@infalign/checkpoint';

/** The folder of an experiment: a folder for each step, and the results on top. */
export interface ExperimentFolder {
  readonly path: string;
  /** The folder of a step. */
  step(name: string): string;
  /** Whether a step has left its result. */
  isDone(name: string): boolean;
  /** Leaves a step's result: JSON data. With it, the step is done. */
  finish(name: string, result: unknown, times: StepTimes): void;
  /** What a step left. @throws InputError if it is not there or damaged */
  result<T>(name: string): T;
  times(name: string): StepTimes;
}

/** How long a step took, and what it took. */
export interface StepTimes {
  /** UTC, ISO 8601. */
  readonly startedAt: string;
  /** Of all attempts at it. */
  readonly seconds: number;
  /** Largest resident memory of its process. */
  readonly peakMemoryBytes: number;
}

/** The folder of an experiment at a path, which need not exist. */
export function experimentFolder(path: string): ExperimentFolder {
  const resultFile = (name: string): string => join(path, name, 'result.json');
  const timesFile = (name: string): string => join(path, name, 'times.json');
  return {
    path,
    step: (name) => join(path, name),
    isDone: (name) => existsSync(resultFile(name)),
    finish(name, result, times) {
      writeFileAtomically(timesFile(name), `${JSON.stringify(times)}\n`);
      writeFileAtomically(resultFile(name), `${JSON.stringify(result)}\n`);
    },
    result: <T>(name: string) => readJson(resultFile(name)) as T,
    times: (name) => readJson(timesFile(name)) as StepTimes,
  };
}

function readJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError(
      `${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}). Resume the experiment.`,
    );
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new InputError(`${file}: is damaged. Delete the folder it lies in, then resume the experiment.`);
  }
}
