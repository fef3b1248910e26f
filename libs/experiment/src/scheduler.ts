/** A unit of work of an experiment: it reads what its dependencies left, and leaves its own folder. */
export interface Step {
  /** Unique, and the name of its folder: `base`, `reward-model`, `runs/ppo-exp-10-kl-0.5-seed-1`. */
  readonly name: string;
  readonly dependsOn: readonly string[];
}

/** What running one step in a process of its own looks like from here. */
export interface RunningStep {
  /** Settles when the process has ended: rejects with the step's error. */
  readonly finished: Promise<void>;
  stop(): void;
}

export interface SchedulerOptions {
  /** How many steps run at the same time; at least 1. */
  readonly processes: number;
  start(step: Step): RunningStep;
  onStarted?(step: Step): void;
  onFinished?(step: Step, seconds: number): void;
  readonly signal?: AbortSignal;
}

/**
 * Runs steps as soon as their dependencies are done and a process is free, in the order given where several could start.
 * The first failure stops all that is running and is thrown once everything has ended, so that nothing is left behind.
 *
 * @throws Error if a dependency is unknown or circular (a bug in the list of steps), or the first error of a step
 */
export async function runSteps(
  steps: readonly Step[],
  isDone: (step: Step) => boolean,
  options: SchedulerOptions,
): Promise<void> {
  const done = new Set(steps.filter(isDone).map((step) => step.name));
  const waiting = steps.filter((step) => !done.has(step.name));
  const running = new Map<Step, RunningStep>();
  let failure: { readonly error: unknown } | undefined;

  const stopAll = (error: unknown): void => {
    if (failure) return;
    failure = { error };
    for (const step of running.values()) step.stop();
  };
  const onAbort = (): void => stopAll(options.signal?.reason);
  options.signal?.addEventListener('abort', onAbort);
  if (options.signal?.aborted) onAbort();

  try {
    while (running.size > 0 || (waiting.length > 0 && !failure)) {
      for (let index = 0; index < waiting.length && !failure;) {
        const step = waiting[index]!;
        if (running.size >= options.processes || !step.dependsOn.every((name) => done.has(name))) {
          index++;
          continue;
        }
        waiting.splice(index, 1);
        const startedAt = performance.now();
        const process = options.start(step);
        running.set(step, process);
        options.onStarted?.(step);
        process.finished
          .then(
            () => {
              done.add(step.name);
              options.onFinished?.(step, (performance.now() - startedAt) / 1000);
            },
            (error: unknown) => stopAll(error),
          )
          .finally(() => running.delete(step));
      }
      if (running.size === 0) {
        if (!failure && waiting.length > 0) {
          throw new Error(
            `steps wait for each other or for unknown steps: ${waiting.map((step) => step.name).join(', ')}`,
          );
        }
        break;
      }
      await Promise.race([...running.values()].map((process) => process.finished.catch(() => undefined)));
      // Lets the bookkeeping chained on `finished` run before the next round looks at it.
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
  }
  if (failure) throw failure.error;
}
