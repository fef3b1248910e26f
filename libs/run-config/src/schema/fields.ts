import { InputError } from '@infalign/core';
import { z } from 'zod';

/** Rollouts that a sampler decodes together at most. */
export const mostRollouts = 4096;

/** A whole number of at least `minimum`, with its default. */
export function wholeNumber(
  minimum: number,
  defaultValue: number,
  description: string,
  maximum = Number.MAX_SAFE_INTEGER,
) {
  return z.int().min(minimum).max(maximum).default(defaultValue).describe(description);
}

/** A number above zero, with its default. */
export function positiveNumber(defaultValue: number, description: string) {
  return z.number().gt(0).default(defaultValue).describe(description);
}

/** A number in [0, 1], with its default. */
export function fraction(defaultValue: number, description: string) {
  return z.number().min(0).max(1).default(defaultValue).describe(description);
}

/** What `parse` makes of a text, or what it says is wrong with it. */
export function attempt<Result>(
  parse: (text: string) => Result,
  text: string,
): { result: Result } | { problem: string } {
  try {
    return { result: parse(text) };
  } catch (error) {
    if (error instanceof InputError) return { problem: error.message };
    throw error;
  }
}

/** A text that `parse` reads. */
export function word(parse: (text: string) => unknown) {
  return z.string().superRefine((text, context) => {
    const attempted = attempt(parse, text);
    if ('problem' in attempted) context.addIssue({ code: 'custom', message: attempted.problem });
  });
}

/** A list without repetitions. */
export function distinctList<Item extends z.ZodType>(item: Item) {
  return z
    .array(item)
    .min(1)
    .superRefine((items, context) => {
      items.forEach((value, index) => {
        if (items.indexOf(value) !== index) {
          context.addIssue({ code: 'custom', path: [index], message: `${JSON.stringify(value)} is listed twice` });
        }
      });
    });
}
