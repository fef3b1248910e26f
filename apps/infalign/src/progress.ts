import type { ProgressListener } from '@infalign/datasets';

/** Shows on standard error how far a command has come: one piece of work after another. */
export interface Progress extends ProgressListener {
  start(name: string, total?: number, unit?: string): void;
  /** Takes the display away, so that other text can follow. Further calls do nothing. */
  stop(): void;
}

const PLAIN_LINE_EVERY_MS = 5000;
const BAR_WIDTH = 24;

/**
 * Makes a display: a bar with rate and time left on a terminal; elsewhere a plain line every five seconds, so that short
 * work says nothing.
 *
 * @param silent - show nothing at all
 */
export async function createProgress({ silent = false }: { silent?: boolean } = {}): Promise<Progress> {
  if (silent) return { start() {}, advance() {}, done() {}, stop() {} };
  return process.stderr.isTTY ? createBar() : createPlainLines((line) => process.stderr.write(`${line}\n`));
}

/**
 * A display of plain lines.
 *
 * @param print - receives each line
 * @param now - milliseconds from any fixed moment
 */
export function createPlainLines(print: (line: string) => void, now: () => number = () => performance.now()): Progress {
  let work: Work | undefined;
  let lastPrinted = 0;
  let printed = false;
  return {
    start(name, total, unit = '') {
      work = { name, total, unit, done: 0, startedAt: now() };
      lastPrinted = work.startedAt;
      printed = false;
    },
    advance(amount) {
      if (work === undefined) return;
      work.done += amount;
      if (now() - lastPrinted < PLAIN_LINE_EVERY_MS) return;
      lastPrinted = now();
      printed = true;
      print(describeWork(work, lastPrinted));
    },
    done() {
      if (work !== undefined && printed) print(describeWork(work, now()));
      work = undefined;
    },
    stop() {
      work = undefined;
    },
  };
}

async function createBar(): Promise<Progress> {
  const { SingleBar } = (await import('cli-progress')).default;
  let work: Work | undefined;
  const bar = new SingleBar({
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    fps: 8,
    format: (_options, params) => {
      if (work === undefined) return '';
      const filled = Math.round(BAR_WIDTH * Math.min(1, params.progress));
      const drawn = work.total === undefined ? '' : `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} `;
      return drawn + describeWork(work, performance.now());
    },
  });
  return {
    start(name, total, unit = '') {
      bar.stop();
      work = { name, total, unit, done: 0, startedAt: performance.now() };
      bar.start(total ?? 0, 0);
    },
    advance(amount) {
      if (work === undefined) return;
      work.done += amount;
      bar.update(work.done);
    },
    done() {
      bar.stop();
      work = undefined;
    },
    stop() {
      bar.stop();
      work = undefined;
    },
  };
}

interface Work {
  readonly name: string;
  readonly total: number | undefined;
  readonly unit: string;
  readonly startedAt: number;
  done: number;
}

function describeWork(work: Work, now: number): string {
  const { name, total, unit, done } = work;
  const seconds = (now - work.startedAt) / 1000;
  const rate = seconds > 0 ? done / seconds : 0;
  const percent = total === undefined || total === 0 ? '' : ` ${Math.min(100, Math.floor((100 * done) / total))} %`;
  const amount =
    total === undefined ? formatAmount(done, unit) : `${formatAmount(done, unit)} of ${formatAmount(total, unit)}`;
  const left = total === undefined || rate === 0 ? '' : `, ${formatSeconds(Math.max(0, total - done) / rate)} left`;
  return `${name}:${percent} (${amount}), ${formatAmount(rate, unit)}/s${left}`;
}

function formatAmount(amount: number, unit: string): string {
  if (unit === 'bytes') return `${(amount / 1e6).toFixed(amount < 1e7 ? 1 : 0)} MB`;
  const digits = amount < 10 && !Number.isInteger(amount) ? 1 : 0;
  return `${amount.toFixed(digits)}${unit === '' ? '' : ` ${unit}`}`;
}

function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
