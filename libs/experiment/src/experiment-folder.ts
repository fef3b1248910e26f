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
  /** Keeps what a step that goes on has taken so far. */
  keepTimes(name: string, times: StepTimes): void;
  /** What attempts at a step have kept; nothing before the first. @throws InputError if it is damaged */
  timesSoFar(name: string): StepTimes | undefined;
  /** What a step left. @throws InputError if it is not there or damaged */
  result<T>(name: string): T;
  times(name: string): StepTimes;
}

/** How long a step took, and what it took, in all attempts at it: of one that is killed, what it has told last. */
export interface StepTimes {
  /** The first attempt. UTC, ISO 8601. */
  readonly startedAt: string;
  /** Of attempts alone: not those between them. */
  readonly seconds: number;
  /** Largest resident memory of a process of it. */
  readonly peakMemoryBytes: number;
}

/** The folder of an experiment at a path, which need not exist. */
export function experimentFolder(path: string): ExperimentFolder {
  const resultFile = (name: string): string => join(path, name, 'result.json');
  const timesFile = (name: string): string => join(path, name, 'times.json');
  const keepTimes = (name: string, times: StepTimes): void =>
    writeFileAtomically(timesFile(name), `${JSON.stringify(times)}\n`);
  return {
    path,
    step: (name) => join(path, name),
    isDone: (name) => existsSync(resultFile(name)),
    finish(name, result, times) {
      keepTimes(name, times);
      writeFileAtomically(resultFile(name), `${JSON.stringify(result)}\n`);
    },
    keepTimes,
    timesSoFar: (name) => (existsSync(timesFile(name)) ? (readJson(timesFile(name)) as StepTimes) : undefined),
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
