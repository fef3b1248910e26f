import { stringify } from 'yaml';
import { snakeCase } from './camel-case.js';
import type { Experiment } from './experiment.js';

/** An experiment as the YAML that `parseExperiment` reads, with every default written out. */
export function formatExperiment(experiment: Experiment): string {
  return stringify(snakeCase(experiment), { lineWidth: 120 });
}
