import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { provisionGoProgram } from '../go/provision-go-program.mjs';
import { root } from '../workspace/workspace.mjs';
import { kubernetesVersion } from './resource-definitions.mjs';

/** The folder of the Helm chart. */
export const chart = join(root, 'infra', 'helm', 'infalign');

/** Files of values that the chart is tested with, by what they are for. */
export const valuesFiles = Object.fromEntries(
  ['minimal', 'secure', 'strimzi'].map((name) => [name, join(chart, 'ci', `${name}-values.yaml`)]),
);

/** The release and the namespace of what is rendered here. */
export const release = { name: 'prod', namespace: 'rl' };

/**
 * Runs a program.
 *
 * @param {string} program
 * @param {readonly string[]} programArguments
 * @param {{ input?: string, env?: Record<string, string> }} [options]
 * @returns {{ status: number | null, stdout: string, stderr: string }}
 */
export function run(program, programArguments, { input, env } = {}) {
  const { error, status, stdout, stderr } = spawnSync(program, programArguments, {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    input,
    env: { ...process.env, ...env },
  });
  if (error) throw error;
  return { status, stdout, stderr };
}

/**
 * Renders the chart.
 *
 * @param {string} valuesFile
 * @param {Record<string, unknown>} [values] over those of the file
 * @returns {{ status: number | null, stdout: string, stderr: string }}
 */
export function renderText(valuesFile, values = {}) {
  return run(
    provisionGoProgram('helm'),
    [
      ...['template', release.name, chart, '--namespace', release.namespace],
      ...['--kube-version', kubernetesVersion, '--values', valuesFile, '--values', '-'],
    ],
    { input: JSON.stringify(values) },
  );
}

/**
 * The objects that the chart renders.
 *
 * @param {string} valuesFile
 * @param {Record<string, unknown>} [values] over those of the file
 * @returns {{ kind: string, metadata: { name: string } }[]}
 */
export function render(valuesFile, values = {}) {
  const { status, stdout, stderr } = renderText(valuesFile, values);
  if (status !== 0) throw new Error(stderr);
  return parsed(stdout);
}

/**
 * The objects of a manifest, read as Kubernetes reads it: as YAML 1.1, in which 0440 is a mode.
 *
 * @param {string} manifest
 */
export function parsed(manifest) {
  return parseAllDocuments(manifest, { version: '1.1' })
    .map((document) => document.toJS())
    .filter((object) => object !== null);
}
