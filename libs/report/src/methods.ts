import { parseMethod } from '@infalign/core';
import type { ExperimentResults } from './results.js';

/** Whether a method was trained with more than one seed. */
export function hasSeveralSeeds(results: ExperimentResults): boolean {
  return new Set(results.runs.map((run) => run.seed)).size > 1;
}

/** The methods of an experiment, in the order of its runs: the order of colours, of legends and of shapes. */
export function methodsOf(results: ExperimentResults): string[] {
  return [...new Set(results.runs.map((run) => run.method))];
}

/** Whether the optimum of one of the methods is not exact but estimated: that of the raw reward, from rewards of the base policy. */
export function hasEstimatedOptimum(results: ExperimentResults): boolean {
  return results.method_curves.some(({ method }) => parseMethod(method).reward === 'raw');
}
