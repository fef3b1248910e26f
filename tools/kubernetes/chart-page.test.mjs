import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { provisionGoProgram } from '../go/provision-go-program.mjs';
import { root } from '../workspace/workspace.mjs';
import { chart, render, renderText, run, valuesFiles } from './chart.mjs';
import { inValues, mountedAt, named, ofKind, pathsIn, podOf, titles } from './rendered-objects.mjs';
import { provisionResourceDefinitions } from './resource-definitions.mjs';

describe('docs/kubernetes.md', () => {
  const page = readFileSync(join(root, 'docs', 'kubernetes.md'), 'utf8');
  const blocks = [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text]) => parse(text));
  const examples = blocks.filter(({ kind }) => kind === undefined);
  const [job] = blocks.filter(({ kind }) => kind === 'Job');

  it.each(examples)('has values that the chart takes: %j', (values) => {
    expect(renderText(valuesFiles.minimal, values)).toMatchObject({ status: 0, stderr: '' });
  });

  it('names what is scaled, and by how much, as the values have it', () => {
    expect(examples.length).toBeGreaterThan(5);
    const { services } = parse(readFileSync(join(chart, 'values.yaml'), 'utf8'));
    for (const title of titles) {
      const row = page.split('\n').find((line) => line.startsWith(`| ${title} `));
      const each = services[inValues(title)].scaling?.recordsPerSecond;
      expect(row).toContain(each === undefined ? 'fixed' : `| ${each} `);
    }
  });

  it('has a job for an experiment that finds what the release has for it', () => {
    const objects = render(valuesFiles.minimal);
    const pod = podOf(job);
    const { store, client } = parse(named(objects, 'ConfigMap', 'prod-infalign-client').data['services.yaml']);
    const { args, env } = pod.containers[0];
    const paths = args.flatMap((argument) => /^(?:--\w+=)?(\/.*)$/.exec(argument)?.[1] ?? []);
    expect(paths).toHaveLength(3);
    for (const path of [...paths, store, ...pathsIn(client), ...env.map(({ value }) => value), '/tmp']) {
      expect(mountedAt(pod, path), path).toBeDefined();
    }
    expect(mountedAt(pod, store).volume.persistentVolumeClaim.claimName).toBe(
      ofKind(objects, 'PersistentVolumeClaim')[0].metadata.name,
    );
    expect(mountedAt(pod, args.at(-2).split('=')[1]).volume.configMap.name).toBe('prod-infalign-client');
    const service = podOf(named(objects, 'Deployment', 'prod-infalign-ppo-learner')).securityContext;
    for (const [name, value] of Object.entries(pod.securityContext)) expect(service[name], name).toBe(value);
    expect(Object.entries(job.spec.template.metadata.labels)).toEqual([['infalign/caller', 'true']]);
    const checked = run(
      provisionGoProgram('kubeconform'),
      [
        '-strict',
        '-schema-location',
        `${provisionResourceDefinitions().schemas}/{{.ResourceKind}}{{.KindSuffix}}.json`,
      ],
      { input: JSON.stringify(job) },
    );
    expect(checked).toMatchObject({ status: 0, stdout: '' });
  });

  it.each(Object.values(valuesFiles))('tells where callers mount what their services file names, with %s', (file) => {
    const places = page.split('## Running an experiment')[1].split('\n## ')[0];
    const {
      client,
      stream,
      store_cache: cache = [],
    } = parse(named(render(file), 'ConfigMap', 'prod-infalign-client').data['services.yaml']);
    for (const path of pathsIn({ client, stream, cache })) {
      expect(
        [path, posix.dirname(path)].some((place) => places.includes(`\`${place}\``)),
        path,
      ).toBe(true);
    }
  });

  it('tells the versions that are tested', () => {
    for (const [source, pattern] of [
      ['resource-definitions.mjs', /keda\/v2@v(\d+\.\d+)/],
      ['resource-definitions.mjs', /cert-manager@v(\d+\.\d+)/],
      ['resource-definitions.mjs', /prometheus-operator@v(\d+\.\d+)/],
      ['strimzi/pom.xml', /<artifactId>api<\/artifactId>\s*<version>(\d+\.\d+)/],
      ['resource-definitions.mjs', /kubernetesVersion = '(\d+\.\d+)/],
    ]) {
      const [, version] = pattern.exec(readFileSync(join(import.meta.dirname, source), 'utf8'));
      expect(page.split('## What is tested')[1]).toContain(version);
    }
  });
});
