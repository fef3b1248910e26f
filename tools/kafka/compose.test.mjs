import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { root } from '../workspace/workspace.mjs';
import { provisionKafka } from './index.mjs';
import { java } from './jars.mjs';

const { services, volumes } = parse(readFileSync(join(root, 'infra', 'compose', 'kafka.yaml'), 'utf8'), {
  merge: true,
});

it('runs the version of Kafka that the development broker runs', () => {
  const pom = readFileSync(join(import.meta.dirname, 'pom.xml'), 'utf8');
  const [, version] = /<artifactId>kafka_2.13<\/artifactId>\s*<version>(.*)<\/version>/.exec(pom);
  expect(new Set(Object.values(services).map(({ image }) => image))).toEqual(new Set([`apache/kafka:${version}`]));
});

it('has one broker in one profile and three in the other, each with a volume of its own', () => {
  const inProfile = (name) => Object.keys(services).filter((service) => services[service].profiles.includes(name));
  expect(inProfile('one')).toEqual(['kafka']);
  expect(inProfile('three')).toEqual(['kafka-1', 'kafka-2', 'kafka-3']);
  expect(Object.values(services).map((service) => service.volumes[0].split(':')[0])).toEqual(Object.keys(volumes));
});

it('is reachable from this machine only, at the addresses that it advertises', () => {
  for (const { hostname, ports, environment } of Object.values(services)) {
    const [, address] = /^(127\.0\.0\.1:\d+):9092$/.exec(ports[0]);
    expect(environment.KAFKA_ADVERTISED_LISTENERS).toBe(`HOST://${address},INTERNAL://${hostname}:9094`);
    expect(environment.KAFKA_CONTROLLER_QUORUM_VOTERS).toContain(`${environment.KAFKA_NODE_ID}@${hostname}:9093`);
  }
});

it('has settings that Kafka accepts', async () => {
  const jars = await provisionKafka();
  const folder = mkdtempSync(join(tmpdir(), 'infalign-kafka-'));
  try {
    for (const name of ['kafka', 'kafka-1']) {
      // As the image does: KAFKA_NODE_ID is node.id.
      const settings = Object.entries(services[name].environment)
        .filter(([variable]) => variable.startsWith('KAFKA_'))
        .map(([variable, value]) => [variable.slice('KAFKA_'.length).toLowerCase().replaceAll('_', '.'), value]);
      const file = join(folder, `${name}.properties`);
      const lines = [...settings, ['log.dirs', join(folder, name)]].map((pair) => pair.join('='));
      writeFileSync(file, lines.join('\n'));
      const id = services[name].environment.CLUSTER_ID;
      const format = ['kafka.tools.StorageTool', 'format', '--cluster-id', id, '--config', file];
      const output = execFileSync(java, ['-XX:TieredStopAtLevel=1', '-cp', join(jars, '*'), ...format], {
        encoding: 'utf8',
      });
      expect(output).toContain(`Formatting metadata directory ${join(folder, name)}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
