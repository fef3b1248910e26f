/**
 * Whether tests run that need something which not every machine has. Where it is missing they are left out and the reason is
 * told; in continuous integration, which has everything, that is a failure.
 */
export function requireOrSkip(name: string, available: boolean, reason: string): boolean {
  if (available) return true;
  if (process.env.CI) throw new Error(`${name} cannot be tested: ${reason}`);
  process.stderr.write(`${name}: left out, ${reason}\n`);
  return false;
}
