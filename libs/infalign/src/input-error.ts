/**
 * A mistake in what a user gave: a setting, a file, a data line. The message names the place and the remedy, and is all
 * that the command line shows (no stack). Any other error is a bug in this program.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
}
