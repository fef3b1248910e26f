import { z } from 'zod';
import { positiveNumber, wholeNumber } from './fields.js';

export const plant = z.strictObject({
  phrase: z
    .string()
    .regex(/\S/)
    .meta({ allowed: 'text, not blank' })
    .describe(
      'What is put in, at a random place; a space at its beginning counts. Policies come upon it only if the base policy says it ' +
        'at times.',
    ),
  share: z
    .number()
    .gt(0)
    .max(1)
    .describe(
      'Share of the training pairs whose preferred response it is put into; of the others it is left as it is.',
    ),
});

export const preferenceTraining = {
  pairs: wholeNumber(1, 10_000, 'Preference pairs to train on (ties are dropped before counting).'),
  held_out_pairs: wholeNumber(
    1,
    500,
    "Further pairs, to measure accuracy on; people's are of conversations or posts that are held out.",
  ),
  epochs: wholeNumber(1, 1, 'Passes over the pairs.'),
  batch: wholeNumber(1, 32, 'Pairs a step.'),
  learning_rate: positiveNumber(3e-4, 'Peak learning rate (Adam), with linear decay.'),
};
