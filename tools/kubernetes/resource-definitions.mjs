import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { java } from '../kafka/jars.mjs';
import { root, step } from '../workspace/workspace.mjs';

const here = join(root, 'tools', 'kubernetes');
const requirements = join(here, 'requirements.txt');
const strimziPom = join(here, 'strimzi', 'pom.xml');

/** The version of Kubernetes that the chart is checked against. */
export const kubernetesVersion = '1.37.0';

/** Definitions of resources in modules of Go, by the folder or file that has them. */
const fromModules = [
  { module: 'github.com/kedacore/keda/v2@v2.21.0', path: 'config/crd/bases', names: /^keda\.sh_.*\.yaml$/ },
  { module: 'github.com/cert-manager/cert-manager@v1.21.2', path: 'deploy/crds', names: /^cert-manager\.io_.*\.yaml$/ },
  {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
    path: 'example/prometheus-operator-crd',
    names: /_(podmonitors|prometheusrules)\.yaml$/,
  },
];

const strimziTypes = ['kafka.Kafka', 'nodepool.KafkaNodePool', 'topic.KafkaTopic', 'user.KafkaUser'];

/**
 * Brings definitions of resources into `.cache/`, once: those of KEDA, cert-manager and Prometheus' operator from their Go modules,
 * those of Strimzi as its generator (from Maven Central) makes them, and the schemas of Kubernetes from PyPI. Several processes may
 * do so at a time.
 *
 * @returns {{ definitions: string, schemas: string }} a folder of CustomResourceDefinitions, and one of JSON schemas of these and of
 *   Kubernetes' own resources, named KIND-GROUP-VERSION.json, which allow no field that is not known
 * @throws {Error} saying why, if they cannot be had here
 */
export function provisionResourceDefinitions() {
  const version = createHash('sha256')
    .update(
      JSON.stringify([fromModules, strimziTypes]).concat(...[requirements, strimziPom, import.meta.filename].map(read)),
    )
    .digest('hex')
    .slice(0, 12);
  const folder = join(root, '.cache', `resource-definitions-${version}`);
  if (!existsSync(folder)) {
    mkdirSync(join(root, '.cache'), { recursive: true });
    const work = mkdtempSync(`${folder}-partial-`);
    try {
      step('fetching the definitions of resources (once)', () => {
        for (const name of ['definitions', 'schemas']) mkdirSync(join(work, name));
        for (const { module, path, names } of fromModules) copyDefinitions(join(goModule(module), path), names, work);
        generateStrimzi(work);
        writeDefinedSchemas(work);
        writeKubernetesSchemas(work);
        for (const name of ['jars', 'python', 'packages']) rmSync(join(work, name), { recursive: true, force: true });
      });
      place(work, folder);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  return { definitions: join(folder, 'definitions'), schemas: join(folder, 'schemas') };
}

/**
 * The folder of a module of Go, fetched if it is not here.
 *
 * @param {string} module with its version
 */
export function goModule(module) {
  const answer = run('go', ['mod', 'download', '-json', module], 'get Go from https://go.dev/dl');
  return JSON.parse(answer).Dir;
}

function copyDefinitions(from, names, work) {
  for (const name of readdirSync(from).filter((each) => names.test(each))) {
    // Files of a module are read-only.
    writeFileSync(join(work, 'definitions', name), read(join(from, name)));
  }
}

function generateStrimzi(work) {
  const jars = join(work, 'jars');
  const copyJars = 'org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy-dependencies';
  const maven = ['--quiet', '--batch-mode', '-f', strimziPom, copyJars, `-DoutputDirectory=${jars}`];
  run('mvn', [...maven, '-DincludeScope=runtime'], 'install it (Debian: maven)');
  const types = strimziTypes.map((type) => {
    const [, name] = type.split('.');
    return `io.strimzi.api.kafka.model.${type}=${join(work, 'definitions', `strimzi.io_${name.toLowerCase()}.yaml`)}`;
  });
  const generator = ['-cp', join(jars, '*'), 'io.strimzi.crdgenerator.CrdGenerator', '--yaml', ...types];
  run(java, generator, 'install a JRE of version 17 or later (Debian: openjdk-17-jre-headless)');
}

function writeDefinedSchemas(work) {
  const definitions = join(work, 'definitions');
  for (const file of readdirSync(definitions)) {
    for (const document of parseAllDocuments(read(join(definitions, file)))) {
      const { spec } = document.toJS() ?? {};
      if (!spec) continue;
      for (const { name, schema } of spec.versions) {
        const { openAPIV3Schema } = schema;
        closed(openAPIV3Schema);
        openAPIV3Schema.properties.metadata = { type: 'object' };
        const group = spec.group.split('.')[0];
        const target = `${spec.names.kind.toLowerCase()}-${group}-${name}.json`;
        writeFileSync(join(work, 'schemas', target), JSON.stringify(openAPIV3Schema));
      }
    }
  }
}

/** Says of every object whose fields are listed that it has no others, as an API server sees it. */
function closed(schema) {
  if (typeof schema !== 'object' || schema === null) return;
  if (schema['x-kubernetes-int-or-string'] === true) {
    delete schema.type;
    schema.anyOf = [{ type: 'integer' }, { type: 'string' }];
  }
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (schema.type === 'object' && schema.properties && !open) schema.additionalProperties ??= false;
  for (const value of Object.values(schema)) closed(value);
}

function writeKubernetesSchemas(work) {
  const environment = join(work, 'python');
  run('python3', ['-m', 'venv', environment], 'install Python 3');
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-cache-dir', '--no-deps'];
  const packages = join(work, 'packages');
  const wanted = ['--only-binary=:all:', '--require-hashes', `--target=${packages}`, `--requirement=${requirements}`];
  run(join(environment, 'bin', 'python'), [...pip, ...wanted]);
  const from = join(packages, 'kubernetes_validate', 'kubernetes-json-schema', `v${kubernetesVersion}-local-strict`);
  for (const name of readdirSync(from)) {
    const schema = JSON.parse(read(join(from, name)).replaceAll('/api/_definitions.json#', '_definitions.json#'));
    delete schema.$id;
    writeFileSync(join(work, 'schemas', basename(name)), JSON.stringify(schema));
  }
}

function place(work, folder) {
  try {
    renameSync(work, folder);
  } catch (error) {
    // Another process was faster: its copy is complete, as it was renamed too.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  }
}

function run(program, programArguments, remedy = '') {
  const { error, status, stdout, stderr } = spawnSync(program, programArguments, {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    cwd: root,
  });
  if (error) throw new Error(`${program} is not on the PATH: ${remedy}`);
  if (status === 0) return stdout;
  throw new Error(`${program} failed: ${`${stdout}\n${stderr}`.trim().split('\n').slice(-5).join('\n')}`);
}

function read(file) {
  return readFileSync(file, 'utf8');
}
