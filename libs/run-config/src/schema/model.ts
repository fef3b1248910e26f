import { z } from 'zod';
import { positiveNumber, wholeNumber } from './fields.js';

const architecture = {
  hidden_size: wholeNumber(8, 128, 'Width of the residual stream.'),
  intermediate_size: wholeNumber(8, 352, 'Width of the SwiGLU feed-forward layer.'),
  layers: wholeNumber(1, 4, 'Number of transformer blocks.'),
  heads: wholeNumber(1, 4, 'Attention heads; divides hidden_size, into heads of even width.'),
  key_value_heads: wholeNumber(1, 4, 'Key and value heads (grouped-query attention); divides heads.'),
  context: wholeNumber(
    8,
    64,
    'Longest sequence, in tokens; at least the prompt, the response and an end-of-text together.',
  ),
  rope_theta: positiveNumber(10_000, 'Base of the rotary position embedding.'),
  norm_epsilon: positiveNumber(1e-5, 'Epsilon of RMSNorm.'),
};

const languageModelTraining = {
  steps: wholeNumber(1, 2500, 'Optimiser steps.'),
  batch: wholeNumber(1, 32, 'Windows a step.'),
  window: wholeNumber(2, 64, 'Tokens a window; at most the context.'),
  learning_rate: positiveNumber(1e-3, 'Peak learning rate (Adam).'),
  warmup_steps: z
    .int()
    .min(0)
    .default(100)
    .describe('Steps of linear warm-up; a linear decay to a tenth of the peak follows.'),
  max_gradient_norm: positiveNumber(1, 'Gradients are clipped to this global norm.'),
};

/** A model that is trained from random weights. It needs not say its kind. */
const newKind = z
  .literal('new')
  .exactOptional()
  .describe('Trained from random weights, with the sizes given here. Where no kind is given, it is this.');

/** A model that somebody else has trained. */
const pretrainedModel = z.strictObject({
  kind: z
    .literal('pretrained')
    .describe('A model of the Llama family that is already trained, with its own sizes, context and tokenizer.'),
  path: z.string().min(1).describe('Folder of a Hugging Face model, or a GGUF file; relative to the experiment file.'),
  training: z
    .strictObject({
      ...languageModelTraining,
      learning_rate: positiveNumber(5e-5, languageModelTraining.learning_rate.description ?? ''),
    })
    .superRefine(checkTraining)
    .exactOptional()
    .describe(
      'Further training as a language model, on the documents that are not held out. Without it, the model is taken as it is.',
    ),
});

interface Training {
  readonly steps: number;
  readonly warmup_steps: number;
}

interface Architecture {
  readonly hidden_size: number;
  readonly heads: number;
  readonly key_value_heads: number;
  readonly context: number;
  readonly training: Training & { readonly window: number };
}

function checkTraining(training: Training, context: z.RefinementCtx): void {
  if (training.warmup_steps > training.steps) {
    context.addIssue({
      code: 'custom',
      path: ['warmup_steps'],
      message: `${training.warmup_steps} is more than steps, which is ${training.steps}`,
    });
  }
}

function checkModel(model: Architecture, context: z.RefinementCtx): void {
  const complain = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  if (model.hidden_size % (2 * model.heads) !== 0) {
    complain(
      ['heads'],
      `${model.heads} does not split hidden_size, which is ${model.hidden_size}, into heads of even width`,
    );
  }
  if (model.heads % model.key_value_heads !== 0) {
    complain(['key_value_heads'], `${model.key_value_heads} does not divide heads, which is ${model.heads}`);
  }
  if (model.training.window > model.context) {
    complain(['training', 'window'], `${model.training.window} is more than the context, which is ${model.context}`);
  }
}

const newModel = z
  .strictObject({
    kind: newKind,
    ...architecture,
    training: z
      .strictObject(languageModelTraining)
      .superRefine(checkTraining)
      .prefault({})
      .describe('Training as a language model, on the documents that are not held out.'),
  })
  .superRefine(checkModel);

const newJudgeModel = z
  .strictObject({
    kind: newKind,
    ...architecture,
    hidden_size: wholeNumber(8, 192, architecture.hidden_size.description ?? ''),
    intermediate_size: wholeNumber(8, 512, architecture.intermediate_size.description ?? ''),
    heads: wholeNumber(1, 6, architecture.heads.description ?? ''),
    key_value_heads: wholeNumber(1, 6, architecture.key_value_heads.description ?? ''),
    training: z
      .strictObject({ ...languageModelTraining, steps: wholeNumber(1, 1000, 'Optimiser steps.') })
      .superRefine(checkTraining)
      .prefault({})
      .describe('Training as a language model, before the preference pairs.'),
  })
  .superRefine(checkModel);

/** The policy's model. */
export const policyModel = z.discriminatedUnion('kind', [newModel, pretrainedModel]);

/** The judge's model. */
export const judgeModel = z.discriminatedUnion('kind', [newJudgeModel, pretrainedModel]);

export const tokenizer = z.strictObject({
  vocabulary: z
    .int()
    .min(257)
    .max(65_536)
    .default(1024)
    .describe('Tokens of the byte-level BPE: 255 bytes, end-of-text, padding, and merges.'),
});
