import { tmpdir } from 'node:os';
import type { JoinOptions } from '@infalign/datasets';
import { Option } from 'commander';
import { parseNumericOption } from './numeric-option.js';

/** The option for how much of the reference rewards to keep in memory. */
export function memoryOption(): Option {
  return new Option(
    '--memory <MiB>',
    'memory for reference rewards; beyond it, temporary files are used (in TMPDIR), with the same result',
  ).default('256');
}

/**
 * How the file commands join their files.
 *
 * @param memory - what was given to `memoryOption`
 * @throws InputError when it is not a number, or negative
 */
export function fileJoinOptions(memory: string): Pick<JoinOptions, 'memoryBytes' | 'temporaryFolder'> {
  const mebibytes = parseNumericOption('--memory', memory, 'a number of MiB, at least 0', (value) => value >= 0);
  return { memoryBytes: mebibytes * 2 ** 20, temporaryFolder: tmpdir() };
}
