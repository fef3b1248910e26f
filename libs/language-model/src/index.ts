export {
  initialWeights,
  parameters,
  withHeads,
  type Head,
  type LanguageModelConfig,
  type Parameter,
  type Weights,
} from './definition.js';
export { createEagerModel, type EagerModel } from './eager/eager-model.js';
export { createTrainer } from './eager/eager-trainer.js';
export type {
  AdamSettings,
  LanguageModel,
  OptimiserState,
  SampledResponse,
  SampleRequest,
  SamplingSettings,
  Sequence,
  Trainer,
  TrainingOutputs,
  TrainingStep,
} from './language-model.js';
export { pretrainedFiles, readPretrained, type Pretrained } from './pretrained-files.js';
export { parseTokenizer, type Tokenizer } from './tokenizer.js';
export { trainTokenizer } from './train-tokenizer.js';
