import { createLanguageModel, type LanguageModel } from '@infalign/language-model';
import { readModel } from '@infalign/pipeline';

/** The calibrated reward, by its definition: the share of references below, ties one half. */
export function shareBeaten(reward: number, references: readonly number[]): number {
  return mean(references.map((reference) => (reward > reference ? 1 : reward === reference ? 0.5 : 0)));
}

/** e^{tu} at mean 0 and unit variance under u ~ Uniform(0, 1). */
export function normalisedExponential(t: number, u: number): number {
  const average = Math.expm1(t) / t;
  return (Math.exp(t * u) - average) / Math.sqrt(Math.expm1(2 * t) / (2 * t) - average ** 2);
}

/**
 * A point of the frontier of plain sampling in closed form: the identity is best for it, f(u) = λe^{λu} / (e^λ − 1).
 *
 * @param rate λ, greater than 0
 */
export function standardFrontier(rate: number): { readonly kl: number; readonly winRate: number } {
  const winRate = 1 / (1 - Math.exp(-rate)) - 1 / rate;
  return { kl: rate * winRate - Math.log(Math.expm1(rate) / rate), winRate };
}

/** Uses a model of the store in this process. @param folder of its checkpoint */
export function withModel(folder: string, use: (model: LanguageModel, config: LanguageModel['config']) => void): void {
  const { config, weights } = readModel(folder);
  const model = createLanguageModel(config, weights);
  use(model, config);
  model.dispose();
}

export function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
