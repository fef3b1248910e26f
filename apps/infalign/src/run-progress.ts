import { MultiBar, type SingleBar } from 'cli-progress';

/** Shows how far the steps of an experiment are, several at a time. */
export interface RunProgress {
  started(step: string): void;
  advanced(step: string, phase: string, done: number, total: number): void;
  finished(step: string, seconds: number): void;
  /** Takes the display away. Further calls do nothing. */
  stop(): void;
}

const plainLineEveryMs = 10_000;

/**
 * Makes a display on standard error: bars with rate and time left on a terminal, else a line when a step starts, every
 * ten seconds, and when it ends. For machines, one JSON object a line on standard output.
 *
 * Where nobody reads on, such as `head`, the run goes on, and is told to nobody.
 *
 * @param steps how many steps the experiment has
 */
export function createRunProgress(steps: number, format: 'text' | 'json'): RunProgress {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  if (format === 'json') return createEvents((event) => process.stdout.write(`${JSON.stringify(event)}\n`));
  return process.stderr.isTTY ? createBars() : createLines(steps, (line) => process.stderr.write(`${line}\n`));
}

function createEvents(write: (event: object) => void): RunProgress {
  return {
    started: (step) => write({ event: 'started', step }),
    advanced: (step, phase, done, total) => write({ event: 'progress', step, phase, done, total }),
    finished: (step, seconds) => write({ event: 'step-finished', step, seconds }),
    stop: () => undefined,
  };
}

interface Phase {
  readonly name: string;
  readonly startedAt: number;
  readonly doneAtStart: number;
}

/** Plain lines, for logs. */
export function createLines(steps: number, print: (line: string) => void, now = () => performance.now()): RunProgress {
  const startedAt = now();
  const phases = new Map<string, Phase>();
  const printedAt = new Map<string, number>();
  let ended = 0;
  const tell = (step: string, text: string): void => {
    printedAt.set(step, now());
    print(`[${formatSeconds((now() - startedAt) / 1000).padStart(8)}] ${step}: ${text}`);
  };
  return {
    started: (step) => tell(step, 'started'),
    advanced(step, name, done, total) {
      let phase = phases.get(step);
      if (phase?.name !== name) {
        phase = { name, startedAt: now(), doneAtStart: done };
        phases.set(step, phase);
      }
      if (now() - (printedAt.get(step) ?? 0) >= plainLineEveryMs) {
        tell(step, `${name}, ${formatCount(done)} of ${formatCount(total)}${timeLeft(phase, done, total, now())}`);
      }
    },
    finished(step, seconds) {
      ended++;
      tell(step, `done in ${formatSeconds(seconds)} (${ended} of ${steps} steps)`);
    },
    stop: () => undefined,
  };
}

function createBars(): RunProgress {
  const startedAt = performance.now();
  const display = new MultiBar(
    {
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      fps: 4,
      format: '{bar} {percentage} % | {step}: {phase}{left}',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
    },
    undefined,
  );
  const bars = new Map<string, { bar: SingleBar; phase: Phase }>();
  return {
    started(step) {
      const phase = { name: 'starting', startedAt: performance.now(), doneAtStart: 0 };
      bars.set(step, { bar: display.create(1, 0, { step, phase: phase.name, left: '' }), phase });
    },
    advanced(step, name, done, total) {
      const shown = bars.get(step);
      if (!shown) return;
      if (shown.phase.name !== name) shown.phase = { name, startedAt: performance.now(), doneAtStart: done };
      shown.bar.setTotal(Math.max(1, total));
      shown.bar.update(done, { step, phase: name, left: timeLeft(shown.phase, done, total, performance.now()) });
    },
    finished(step, seconds) {
      const shown = bars.get(step);
      if (!shown) return;
      display.remove(shown.bar);
      bars.delete(step);
      const elapsed = formatSeconds((performance.now() - startedAt) / 1000);
      display.log(`[${elapsed.padStart(8)}] ${step}: done in ${formatSeconds(seconds)}\n`);
    },
    stop: () => display.stop(),
  };
}

/** Rate and time left, once there is something to go by. */
function timeLeft({ startedAt, doneAtStart }: Phase, done: number, total: number, now: number): string {
  const rate = (1000 * (done - doneAtStart)) / (now - startedAt);
  if (!(rate > 0)) return '';
  return `, ${rate >= 10 ? formatCount(rate) : rate.toPrecision(2)}/s, ${formatSeconds((total - done) / rate)} left`;
}

function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return `${Math.floor(seconds / 60)} m ${Math.floor(seconds % 60)
    .toString()
    .padStart(2, '0')} s`;
}
