import { readFileSync } from 'node:fs';

/** A process of this machine, told from a later one of the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, as Linux counts it. Missing or empty elsewhere: the number alone has to do then. */
  readonly started?: string;
}

/** What tells the process that has that number now from those before and after it. */
export function processIdentity(pid: number): ProcessIdentity {
  const status = readIfThere(`/proc/${pid}/stat`);
  // The second field is a name in parentheses that may hold spaces; the start is the 22nd field.
  const started = status?.slice(status.lastIndexOf(')') + 2).split(' ')[19];
  return started === undefined ? { pid } : { pid, started };
}

/** Whether that process is there still, and not another one that has its number since. */
export function isAlive({ pid, started }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return !started || processIdentity(pid).started === started;
}

/** The text of a file; nothing if it is not there. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
