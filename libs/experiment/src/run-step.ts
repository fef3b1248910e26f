import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { acquireLock } from '@infalign/checkpoint';
import { InputError } from '@infalign/core';
import { policyRuns, stepNames } from '@infalign/pipeline';
import { asCarriedOut } from '@infalign/run-config';
import type { StepTimes } from './experiment-folder.js';
import type { StepBody, StepContext } from './step-context.js';
import { languageModelStep } from './steps/language-model.js';
import { policyRunStep } from './steps/policy-run.js';
import { heldOutReferencesStep, trainingReferencesStep } from './steps/references.js';
import { rewardModelStep } from './steps/reward-model.js';
import { textStep } from './steps/text.js';
import { forgetTraining } from './train-resumably.js';

const bodies: Readonly<Record<string, StepBody>> = {
  [stepNames.text]: textStep,
  [stepNames.base]: languageModelStep('base'),
  [stepNames.judgeBase]: languageModelStep('judge'),
  [stepNames.rewardModel]: rewardModelStep('reward'),
  [stepNames.judge]: rewardModelStep('judge'),
  [stepNames.trainingReferences]: trainingReferencesStep,
  [stepNames.heldOutReferences]: heldOutReferencesStep,
};

/**
 * Runs one step in this process, with the tfjs backend that it has registered, and leaves its result in its folder; unless
 * another process has done so meanwhile.
 *
 * @throws Error if the experiment has no such step; otherwise what the step throws
 */
export async function runStep(name: string, context: StepContext): Promise<void> {
  const body = bodies[name] ?? (isPolicyRun(name, context) ? policyRunStep(name) : undefined);
  if (!body) throw new Error(`the experiment has no step ${name}`);
  const { folder } = context;
  const release = await waitForLock(folder.step(name));
  try {
    // The attempt whose end was waited for may have come to the step's. Others may be reading what it left.
    if (folder.isDone(name)) return;
    const times = stopwatch(folder.timesSoFar(name));
    let keptAt = -Infinity;
    const progress: StepContext['progress'] = async (...told) => {
      if (performance.now() - keptAt > secondsBetweenTimes * 1000) {
        folder.keepTimes(name, times());
        keptAt = performance.now();
      }
      await context.progress(...told);
    };
    const result = await body({ ...context, experiment: asCarriedOut(context.experiment), progress });
    folder.finish(name, result, times());
    forgetTraining(folder.step(name));
  } finally {
    release();
  }
}

/** How often is kept what a step has taken so far: what is not counted at most where its process is killed. */
const secondsBetweenTimes = 5;

/** Tells what a step has taken, with what it had taken before. */
function stopwatch(before: StepTimes | undefined): () => StepTimes {
  const startedAt = before?.startedAt ?? new Date().toISOString();
  const start = performance.now();
  return () => ({
    startedAt,
    seconds: (before?.seconds ?? 0) + (performance.now() - start) / 1000,
    peakMemoryBytes: Math.max(before?.peakMemoryBytes ?? 0, process.resourceUsage().maxRSS * 1024),
  });
}

/** How long the process of an attempt that was killed may take to notice that it is to end. */
const lockPatienceMs = 60_000;

/** A step's folder is written to by one process. */
async function waitForLock(folder: string): Promise<() => void> {
  mkdirSync(folder, { recursive: true });
  for (const end = performance.now() + lockPatienceMs; ; await sleep(200)) {
    try {
      return acquireLock(join(folder, 'step.lock'), 'the step');
    } catch (error) {
      if (!(error instanceof InputError) || performance.now() > end) throw error;
    }
  }
}

function isPolicyRun(name: string, { experiment }: StepContext): boolean {
  return policyRuns(experiment).some((run) => run.name === name);
}
