import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { InputError } from '@infalign/core';
import { isAlive, processIdentity, readIfThere, type ProcessIdentity } from './process-identity.js';

/**
 * Takes a lock file for this process: of all processes of this machine, one holds it at a time. What a dead process left
 * behind is taken over.
 *
 * @param file in a folder that exists
 * @param what is locked, for the message: `the log`
 * @returns gives the lock back
 * @throws InputError naming the process, if a living one holds the lock, this one included
 */
export function acquireLock(file: string, what: string): () => void {
  const own = JSON.stringify(processIdentity(process.pid));
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, own);
  try {
    while (!linked(draft, file)) {
      const held = readIfThere(file);
      if (held === undefined) continue;
      const holder = parseIdentity(held);
      if (holder && isAlive(holder)) {
        throw new InputError(
          `${file}: ${what} is in use by process ${holder.pid}. Wait for it to end, or stop it; two ` +
            'processes cannot write there at a time.',
        );
      }
      takeAway(file, held);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  return () => {
    if (readIfThere(file) === own) rmSync(file);
  };
}

function parseIdentity(text: string): ProcessIdentity | undefined {
  try {
    const { pid, started } = JSON.parse(text) as Partial<ProcessIdentity>;
    return typeof pid === 'number' ? { pid, ...(typeof started === 'string' && { started }) } : undefined;
  } catch {
    return undefined;
  }
}

/** Creating a link either succeeds or fails because the lock exists: there is no moment between looking and taking. */
function linked(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes a dead process's lock, but puts back what is found to be another's, taken over in the meantime. */
function takeAway(file: string, held: string): void {
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readFileSync(aside, 'utf8') !== held) linked(aside, file);
  rmSync(aside);
}
