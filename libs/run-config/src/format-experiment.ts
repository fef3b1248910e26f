import { stringify } from 'yaml';
import type { Experiment } from './experiment.js';

/** An experiment as the YAML that `parseExperiment` reads, with every default written out. */
export function formatExperiment(experiment: Experiment): string {
  return stringify(snakeCase(experiment), { lineWidth: 120 });
}

function snakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCase);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCase(item),
    ]),
  );
}
