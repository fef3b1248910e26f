import { createHash } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { camelCase, type CamelCase } from './camel-case.js';
import { experimentSchema, type ExperimentFile } from './experiment-schema.js';
import { readConfiguration } from './read-configuration.js';
import { readYaml } from './yaml-document.js';

/** An experiment: every setting, checked, with its defaults filled in. Plain JSON data. */
export type Experiment = CamelCase<ExperimentFile>;

/**
 * Reads an experiment from the text of its YAML file.
 *
 * @param text the file's text
 * @param fileName the file's name, for messages
 * @throws InputError that lists every problem as `file:line:column: field: what was found; what is allowed`
 */
export function parseExperiment(text: string, fileName: string): Experiment {
  const document = readYaml(text, fileName);
  const result = experimentSchema.safeParse(document.value);
  if (!result.success) throw document.rejected(experimentSchema, result.error.issues);
  return camelCase(result.data);
}

/**
 * Reads an experiment file. The `path` of its dataset and of pretrained models become absolute: the file writes them relative
 * to its own folder.
 *
 * @throws InputError when the file cannot be read, or as `parseExperiment` does
 */
export async function loadExperiment(path: string): Promise<Experiment> {
  const experiment = parseExperiment(await readConfiguration(path, 'an experiment file'), path);
  const { dataset, model, judge } = experiment;
  const absolute = <Part extends object>(part: Part): Part =>
    'path' in part ? { ...part, path: resolve(dirname(path), part.path as string) } : part;
  return {
    ...experiment,
    dataset: absolute(dataset),
    model: absolute(model),
    judge: { ...judge, model: absolute(judge.model) },
  };
}

/** Like JSON.stringify, with the keys of every object in order, so that equal settings give equal text. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}

/**
 * The experiment as its steps carry it out: procedures are read off their samples when all are done. Experiments that differ in
 * these alone have this in common, and what has been computed with it.
 */
export function asCarriedOut(experiment: Experiment): Experiment {
  return { ...experiment, procedures: ['standard'] };
}

/**
 * SHA-256 (hexadecimal) of everything in the experiment that one of its runs depends on: all of it but which others there are, and
 * `machine.processes`. Only an experiment with the same hash goes on with what another has done; it may have other runs. Services of
 * other releases know runs by it: it stays what it is.
 */
export function experimentHash(experiment: Experiment): string {
  // JSON leaves out what is undefined.
  const settings = { ...experiment, runs: undefined, machine: { threads: experiment.machine.threads } };
  return createHash('sha256').update(canonicalJson(settings)).digest('hex');
}
