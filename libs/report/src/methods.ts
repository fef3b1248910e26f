import type { ExperimentResults } from './results.js';

/** The methods of an experiment, in the order of its runs: the order of colours, of legends and of shapes. */
export function methodsOf(results: ExperimentResults): string[] {
  return [...new Set(results.runs.map((run) => run.method))];
}
