export { judgedSequence } from './judged-sequence.js';
export { adapterFiles, readAdapters } from './adapters/adapter-files.js';
export { merged } from './adapters/merged.js';
export { openAdapters } from './adapters/open-adapters.js';
export {
  initialWeights,
  parameters,
  withHeads,
  type AdapterSettings,
  type Head,
  type LanguageModelConfig,
  type LinearLayer,
  type ModelData,
  type Parameter,
  type Weight,
  type Weights,
} from './definition.js';
export { createLanguageModel } from './create-language-model.js';
export { eagerArithmetic } from './eager/arithmetic.js';
export type {
  AdamSettings,
  LanguageModel,
  Loss,
  OptimiserState,
  SampledResponse,
  SampleRequest,
  SamplingSettings,
  Sequence,
  Trainer,
  TrainingOutputs,
  TrainingStep,
} from './language-model.js';
export { chatTemplate, type ChatMessage, type ChatOptions, type ChatTemplate } from './pretrained/chat-template.js';
export { openPretrained } from './pretrained/open-pretrained.js';
export { pretrainedFiles, readPretrained, type Pretrained } from './pretrained/pretrained-files.js';
export { encodeTemplate, type Tokenizer } from './tokenizer.js';
export { parseTokenizer } from './tokenizer-json.js';
export { trainTokenizer } from './train-tokenizer.js';
