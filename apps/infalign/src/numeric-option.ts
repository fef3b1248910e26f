import { InputError } from '@infalign/core';

/**
 * Reads the number given to an option.
 *
 * @param option - with its dashes, for the message
 * @param allowed - what is allowed, in words, for the message
 * @param isAllowed - tells whether a finite number is
 * @throws InputError when the text is not a finite decimal number, or not an allowed one
 */
export function parseNumericOption(
  option: string,
  text: string,
  allowed: string,
  isAllowed: (value: number) => boolean,
): number {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : NaN;
  if (Number.isFinite(value) && isAllowed(value)) return value;
  throw new InputError(`${option} is "${text}"; it must be ${allowed}`);
}
