import { InputError } from '@infalign/core';
import { openPretrained, parseTokenizer } from '@infalign/language-model';
import type { StoredText } from '@infalign/pipeline';
import type { Experiment } from '@infalign/run-config';

/** Token numbers are stored in 16 bits. */
const largestVocabulary = 2 ** 16;

/**
 * Checks that the pretrained models of an experiment can be used in it, before anything is trained: that they read the same
 * tokens, have room for what they are to read, and that none has a head that says rewards.
 *
 * @returns the tokenizer of the policy
 * @throws InputError naming the setting, the model, and what is wrong with it
 */
export function checkPretrained(experiment: Experiment): Pick<StoredText, 'tokenizer' | 'tokenizerConfigJson'> {
  const longest = experiment.prompts.tokens + experiment.sampling.maxResponseTokens + 1;
  const settings = { 'model.path': experiment.model, 'judge.model.path': experiment.judge.model };
  let policy: ReturnType<typeof checkPretrained> | undefined;
  for (const [setting, model] of Object.entries(settings)) {
    if (model.kind !== 'pretrained') continue;
    const { config, weights, tokenizerJson, tokenizerConfigJson } = openPretrained(model.path);
    const refuse = (problem: string): InputError => new InputError(`${setting}: ${model.path} ${problem}`);
    if (weights.has('score.weight')) throw refuse('is a reward model. Name a language model.');
    if (config.maxPositions < longest) {
      throw refuse(
        `reads at most ${config.maxPositions} tokens, less than prompts.tokens + sampling.max_response_tokens + 1, ` +
          `which is ${longest}. Ask for less, or name another model.`,
      );
    }
    if (model.training && model.training.window > config.maxPositions) {
      throw refuse(
        `reads at most ${config.maxPositions} tokens, less than its training.window, which is ${model.training.window}.`,
      );
    }
    const tokenizer = parseTokenizer(tokenizerJson, model.path, tokenizerConfigJson);
    if (tokenizer.vocabSize > largestVocabulary) {
      throw refuse(`has ${tokenizer.vocabSize} tokens, more than the ${largestVocabulary} that are supported.`);
    }
    if (policy && tokenizer.toJson() !== policy.tokenizer.toJson()) {
      throw refuse('has another tokenizer than the policy. Name a model with the same, or leave out its kind.');
    }
    policy ??= { tokenizer, ...(tokenizerConfigJson === undefined ? {} : { tokenizerConfigJson }) };
  }
  if (!policy) throw new Error('the experiment has no pretrained policy');
  return policy;
}
