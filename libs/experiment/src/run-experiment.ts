import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '@infalign/core';
import { writeFileAtomically } from '@infalign/checkpoint';
import { formatResults, renderReport } from '@infalign/report';
import { asCarriedOut, experimentHash, formatExperiment, parseExperiment, type Experiment } from '@infalign/run-config';
import { experimentFolder, type ExperimentFolder } from './experiment-folder.js';
import { planSteps } from './plan.js';
import { collectResults } from './results.js';
import { runSteps, type RunningStep, type Step } from './scheduler.js';

/** How an experiment is run on one machine. */
export interface RunExperimentOptions {
  readonly experiment: Experiment;
  /** The folder that everything is written to. */
  readonly out: string;
  /** Go on with what an earlier attempt has left in the folder. */
  readonly resume: boolean;
  /** Runs a step in a process of its own: `runStep` with an experiment that `openExperiment` reads. */
  start(step: Step): RunningStep;
  onStarted?(step: Step): void;
  onFinished?(step: Step, seconds: number): void;
  /** Version of infalign, and of other software by name: for the report. */
  readonly version: string;
  readonly software: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** The files that a finished experiment has. */
export interface FinishedExperiment {
  readonly results: string;
  readonly report: string;
}

const settingsName = 'experiment.yaml';

/**
 * Runs an experiment from text to report: every step that is not yet done, as many at a time as the experiment allows.
 *
 * @throws InputError if the folder holds another experiment, or an unfinished one that was not asked to be resumed; or
 *   what a step throws. What has been done stays done.
 */
export async function runExperiment(options: RunExperimentOptions): Promise<FinishedExperiment> {
  const { experiment, out, signal } = options;
  const folder = claimFolder(options);
  await runSteps(planSteps(experiment), (step) => folder.isDone(step.name), {
    processes: experiment.machine.processes,
    start: (step) => options.start(step),
    onStarted: (step) => options.onStarted?.(step),
    onFinished: (step, seconds) => options.onFinished?.(step, seconds),
    ...(signal && { signal }),
  });
  return await writeReport({ ...options, out });
}

/** Writes results.json and report.html anew from what the steps of a finished experiment have left. */
export async function writeReport(
  options: Pick<RunExperimentOptions, 'experiment' | 'out' | 'version' | 'software'>,
): Promise<FinishedExperiment> {
  const { experiment, out, version, software } = options;
  const folder = experimentFolder(out);
  const open = planSteps(experiment).filter((step) => !folder.isDone(step.name));
  if (open.length > 0) {
    throw new InputError(
      `${out}: the experiment is not finished (${open.length} steps are left, the next is ${open[0]!.name}). ` +
        'Run it again with --resume.',
    );
  }
  const collected = collectResults({ experiment, settings: formatExperiment(experiment), folder, version, software });
  const results = join(out, 'results.json');
  const report = join(out, 'report.html');
  writeFileAtomically(results, formatResults(collected));
  writeFileAtomically(report, await renderReport(collected));
  return { results, report };
}

/**
 * The experiment that a folder holds.
 *
 * @throws InputError if it holds none
 */
export function openExperiment(out: string): Experiment {
  const file = join(out, settingsName);
  if (!existsSync(file)) {
    throw new InputError(`${out}: holds no experiment. Name a folder that \`infalign run\` has written to.`);
  }
  return parseExperiment(readFileSync(file, 'utf8'), file);
}

function claimFolder({ experiment, out, resume }: RunExperimentOptions): ExperimentFolder {
  const settings = join(out, settingsName);
  const text = formatExperiment(experiment);
  if (existsSync(settings)) {
    if (experimentHash(asCarriedOut(openExperiment(out))) !== experimentHash(asCarriedOut(experiment))) {
      throw new InputError(
        `${out}: holds another experiment, or this one with other settings (see ${settings}). ` +
          'Choose another folder with --out, or delete this one.',
      );
    }
    if (!resume) {
      throw new InputError(
        `${out}: holds this experiment already. Go on with it by --resume, or choose another folder with --out.`,
      );
    }
    // With more runs than before, or with fewer.
    if (readFileSync(settings, 'utf8') !== text) writeFileAtomically(settings, text);
  } else {
    if (existsSync(out) && !statSync(out).isDirectory()) {
      throw new InputError(`${out}: is a file. Choose a folder with --out.`);
    }
    if (existsSync(out) && readdirSync(out).length > 0) {
      throw new InputError(`${out}: is not empty, and holds no experiment. Choose another folder with --out.`);
    }
    writeFileAtomically(settings, text);
  }
  return experimentFolder(out);
}
