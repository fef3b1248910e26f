import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's top folder. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/**
 * Runs one step of setting up, telling on standard error what is done and how long it took.
 *
 * @template T
 * @param {string} title
 * @param {() => T} action
 * @returns {T}
 */
export function step(title, action) {
  const start = performance.now();
  process.stderr.write(`setup: ${title} …\n`);
  const told = (value) => {
    process.stderr.write(`setup: ${title}: ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
    return value;
  };
  const result = action();
  return result instanceof Promise ? result.then(told) : told(result);
}

/**
 * Runs the body of a script: an error is one message on standard error and exit code 1, at once: whatever the body has
 * started, no process that waits for it keeps it alive.
 *
 * @param {() => Promise<number | void>} body its number, if any, becomes the exit code
 */
export async function script(body) {
  try {
    process.exitCode = (await body()) ?? 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}
