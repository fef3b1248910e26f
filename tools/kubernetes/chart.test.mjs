import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { allTopics, isDeadLetterTopic } from '@infalign/rollout-stream';
import { loadServices } from '@infalign/run-config';
import { consumers } from '@infalign/services';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { topicConfiguration } from '../../libs/rollout-stream/src/kafka/topic-configuration.ts';
import { servicesSchema } from '../../libs/run-config/src/services-schema.ts';
import { provisionGoProgram } from '../go/provision-go-program.mjs';
import { root } from '../workspace/workspace.mjs';
import { chart, parsed, render, renderText, run, valuesFiles } from './chart.mjs';
import { kubernetesVersion, provisionResourceDefinitions } from './resource-definitions.mjs';
import valuesSchema from '../../infra/helm/infalign/values.schema.json' with { type: 'json' };

const titles = ['policy-sampler', 'reward-scorer', 'calibrator', 'ppo-learner', 'evaluator'];
const inValues = (title) => title.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
const folder = mkdtempSync(join(tmpdir(), 'chart-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ofKind = (objects, kind) => objects.filter((object) => object.kind === kind);
const named = (objects, kind, name) => ofKind(objects, kind).find(({ metadata }) => metadata.name === name);
const podOf = (object) => object.spec.template.spec;
const pods = (objects) => [...ofKind(objects, 'Deployment'), ...ofKind(objects, 'Job')];

/** A services file of the chart, as the services read it. */
async function loaded(objects, component) {
  const { data } = named(objects, 'ConfigMap', `prod-infalign-${component}`);
  const file = join(folder, 'services.yaml');
  writeFileSync(file, data['services.yaml']);
  return await loadServices(file);
}

/** Every path of a file in settings, and that of a folder of checkpoints. */
function pathsIn(settings) {
  return Object.values(settings).flatMap((value) => {
    if (typeof value === 'string') return value.startsWith('/') ? [value] : [];
    return typeof value === 'object' && value !== null ? pathsIn(value) : [];
  });
}

/** The volume that a path of a container is in, and the path within it. */
function mountedAt(pod, path) {
  const mount = pod.containers[0].volumeMounts
    .filter(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`))
    .sort((a, b) => b.mountPath.length - a.mountPath.length)[0];
  if (!mount) return undefined;
  const volume = pod.volumes.find(({ name }) => name === mount.name);
  return { mount, volume, within: posix.relative(mount.mountPath, path) };
}

describe.each(Object.entries(valuesFiles))('the chart with %s values', (name, file) => {
  /** @type {any[]} */
  let objects;
  let text;
  beforeAll(() => {
    text = renderText(file).stdout;
    objects = render(file);
  });

  it('is what helm lint wants', () => {
    const linted = run(provisionGoProgram('helm'), ['lint', chart, '--strict', '--values', file]);
    expect(linted).toMatchObject({ status: 0, stdout: expect.stringContaining('0 chart(s) failed') });
  });

  it('renders only what the API servers know, with no field too many', () => {
    const { schemas } = provisionResourceDefinitions();
    const checked = run(
      provisionGoProgram('kubeconform'),
      [
        '-strict',
        '-output',
        'json',
        '-summary',
        '-schema-location',
        `${schemas}/{{.ResourceKind}}{{.KindSuffix}}.json`,
      ],
      { input: text },
    );
    const { resources = [], summary } = JSON.parse(checked.stdout);
    expect(resources).toEqual([]);
    expect(summary).toEqual({ valid: objects.length, invalid: 0, errors: 0, skipped: 0 });
  });

  it('has nothing that kube-score finds critical', () => {
    const scored = run(
      provisionGoProgram('kube-score'),
      [
        ...[
          'score',
          '-',
          '--output-format',
          'ci',
          '--kubernetes-version',
          `v${kubernetesVersion.replace(/\.\d+$/, '')}`,
        ],
        ...['--enable-optional-test', 'container-seccomp-profile'],
        // A limit of processor time holds up threads while processors are idle.
        '--ignore-container-cpu-limit',
      ],
      { input: text },
    );
    expect(scored.stdout).toContain('[OK] prod-infalign-policy-sampler');
    expect(scored.stdout.split('\n').filter((line) => line.startsWith('[CRITICAL]'))).toEqual([]);
  });

  it.each([...titles, 'client'])('writes a services file that the %s can read', async (title) => {
    const settings = await loaded(objects, title);
    expect(settings.rpc).toMatchObject({ host: '0.0.0.0', healthPort: 50050 });
    for (const other of titles) {
      const { port, address } = settings.services[inValues(other)];
      expect(address).toBe(`prod-infalign-${other}.rl.svc:${port}`);
      const service = named(objects, 'Service', `prod-infalign-${other}`);
      expect(service.spec.ports).toEqual([expect.objectContaining({ port, targetPort: 'grpc' })]);
    }
  });

  it.each(titles)('mounts every file that the %s is told of', async (title) => {
    const { stream, store, storeCache, rpc } = await loaded(objects, title);
    const pod = podOf(named(objects, 'Deployment', `prod-infalign-${title}`));
    const environment = Object.fromEntries(pod.containers[0].env.map((entry) => [entry.name, entry.value]));
    const paths = pathsIn({ stream, store, storeCache, rpc, settings: environment.INFALIGN_SERVICES });
    expect(paths.length).toBeGreaterThan(1);
    for (const path of paths) {
      const { mount, volume, within } = mountedAt(pod, path) ?? {};
      expect(volume, path).toBeDefined();
      if (path === store || path === storeCache) {
        expect(mount.readOnly, path).toBeUndefined();
        continue;
      }
      expect(mount.readOnly, path).toBe(true);
      const names = volume.secret?.items?.map((item) => item.path);
      if (names) expect(names, path).toContain(within);
    }
  });

  it('keeps secrets from everybody but the pod, as the services ask for', () => {
    for (const object of pods(objects)) {
      const { securityContext, volumes } = podOf(object);
      expect(securityContext.fsGroup).toBe(securityContext.runAsGroup);
      for (const { secret } of volumes.filter((volume) => volume.secret)) {
        // Of Kubernetes' own volumes of secrets, the group may read what the owner may.
        expect(secret.defaultMode & 0o037, secret.secretName).toBe(0);
        expect(secret.defaultMode & 0o040, secret.secretName).toBe(0o040);
      }
    }
    // No secret is in a file of settings, or in an argument.
    expect(ofKind(objects, 'Secret')).toEqual([]);
  });

  it.each(titles)(
    'gives the %s longer to end than it takes to drain, and asks the right port for its health',
    async (title) => {
      const { drainSeconds, rpc, services } = await loaded(objects, title);
      const pod = podOf(named(objects, 'Deployment', `prod-infalign-${title}`));
      expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(drainSeconds + 10);
      const [container] = pod.containers;
      for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
        expect(container[probe].grpc, probe).toEqual({ port: rpc.healthPort });
      }
      const { periodSeconds, failureThreshold } = container.livenessProbe;
      expect(periodSeconds * failureThreshold).toBeGreaterThanOrEqual(drainSeconds);
      expect(container.ports).toContainEqual({ name: 'grpc', containerPort: services[inValues(title)].port });
    },
  );

  it('selects the pods of one service each, by services, budgets and policies', () => {
    const labels = pods(objects).map(({ spec }) => spec.template.metadata.labels);
    const selects = (selector) =>
      labels.filter((each) => Object.entries(selector).every(([key, value]) => each[key] === value)).length;
    const selectors = [
      ...ofKind(objects, 'Service').map(({ spec }) => spec.selector),
      ...ofKind(objects, 'PodDisruptionBudget').map(({ spec }) => spec.selector.matchLabels),
      ...ofKind(objects, 'NetworkPolicy').map(({ spec }) => spec.podSelector.matchLabels),
      ...ofKind(objects, 'Deployment').map(({ spec }) => spec.selector.matchLabels),
    ];
    expect(selectors).toHaveLength(3 * titles.length + labels.length);
    for (const selector of selectors) expect(selects(selector), JSON.stringify(selector)).toBe(1);
  });

  it('gives names that are short enough, whatever the release is called', () => {
    const helm = ['template', 'r'.repeat(53), chart, '--kube-version', kubernetesVersion, '--values', file];
    const lengths = parsed(run(provisionGoProgram('helm'), helm).stdout)
      // Names of topics' resources are not in labels.
      .filter(({ kind }) => kind !== 'KafkaTopic')
      .map(({ metadata }) => metadata.name.length);
    expect(lengths.length).toBeGreaterThan(20);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(63);
  });

  if (name === 'minimal') return;

  it('scales what has something to wait for on exactly that, up to the partitions', async () => {
    const { stream } = await loaded(objects, 'client');
    const waiting = [];
    for (const { metadata, spec } of ofKind(objects, 'ScaledObject')) {
      const deployment = named(objects, 'Deployment', spec.scaleTargetRef.name);
      // What KEDA decides is not undone by the next upgrade.
      expect(deployment.spec.replicas).toBeUndefined();
      expect(spec.maxReplicaCount, metadata.name).toBeLessThanOrEqual(stream.partitions);
      for (const { metadata: trigger, authenticationRef } of spec.triggers) {
        expect(trigger.bootstrapServers.split(',')).toEqual(stream.brokers);
        expect(trigger.tls).toBe(stream.tls ? 'enable' : undefined);
        expect(trigger.sasl).toBe(stream.sasl?.mechanism.replace(/scram-sha-/, 'scram_sha'));
        expect(trigger).toMatchObject({ offsetResetPolicy: 'earliest', excludePersistentLag: 'false' });
        const { spec: authentication } = named(objects, 'TriggerAuthentication', authenticationRef.name);
        expect(authentication.secretTargetRef.map(({ parameter }) => parameter)).toContain('password');
        const [username] = authentication.configMapTargetRef;
        expect(named(objects, 'ConfigMap', username.name).data[username.key]).toBe(stream.sasl.username);
        waiting.push(`${trigger.consumerGroup} ${trigger.topic}`);
      }
    }
    // All that consume but the calibrator, of which there is one.
    const expected = consumers
      .filter(([group]) => group !== 'calibrator')
      .map(([group, topic]) => `${stream.prefix}${group} ${stream.prefix}${topic.name}`);
    expect(waiting.sort()).toEqual(expected.sort());
    for (const title of ['calibrator', 'ppo-learner']) {
      expect(named(objects, 'Deployment', `prod-infalign-${title}`).spec.replicas).toBe(1);
    }
  });
});

describe('docs/kubernetes.md', () => {
  const page = readFileSync(join(root, 'docs', 'kubernetes.md'), 'utf8');
  const examples = [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text]) => parse(text));

  it.each(examples)('has values that the chart takes: %j', (values) => {
    expect(renderText(valuesFiles.minimal, values)).toMatchObject({ status: 0, stderr: '' });
  });

  it('names what is scaled, and by how much, as the values have it', () => {
    expect(examples.length).toBeGreaterThan(4);
    const { services } = parse(readFileSync(join(chart, 'values.yaml'), 'utf8'));
    for (const title of titles) {
      const row = page.split('\n').find((line) => line.startsWith(`| ${title} `));
      const each = services[inValues(title)].scaling?.lagPerReplica;
      expect(row).toContain(each === undefined ? 'fixed' : `| ${each} `);
    }
  });

  it('tells the versions that are tested', () => {
    for (const [source, pattern] of [
      ['resource-definitions.mjs', /keda\/v2@v(\d+\.\d+)/],
      ['resource-definitions.mjs', /cert-manager@v(\d+\.\d+)/],
      ['strimzi/pom.xml', /<artifactId>api<\/artifactId>\s*<version>(\d+\.\d+)/],
      ['resource-definitions.mjs', /kubernetesVersion = '(\d+\.\d+)/],
    ]) {
      const [, version] = pattern.exec(readFileSync(join(import.meta.dirname, source), 'utf8'));
      expect(page.split('## What is tested')[1]).toContain(version);
    }
  });
});

describe('with values of its own', () => {
  const { minimal, secure, strimzi } = valuesFiles;

  it('reaches brokers, buckets and callers in the way that the values say', async () => {
    const sampler = await loaded(render(secure), 'policy-sampler');
    expect(sampler).toMatchObject({
      store: 's3://team-a-checkpoints/production/runs?endpoint=https://storage.example.com:9000',
      logLevel: 'warn',
      threads: 2,
      drainSeconds: 120,
      stream: { prefix: 'team-a.', partitions: 40, sasl: { mechanism: 'scram-sha-512', username: 'infalign' } },
      rpc: { maxRunningCalls: 32, tls: { clientCaFile: '/etc/infalign/tls/ca.crt' } },
    });
    expect((await loaded(render(secure), 'client')).client).toEqual({
      plaintext: 'loopback-only',
      tls: {
        caFile: '/etc/infalign/tls/ca.crt',
        certificateFile: '/etc/infalign/tls/tls.crt',
        keyFile: '/etc/infalign/tls/tls.key',
      },
      tokenFile: '/etc/infalign/token/token',
    });
    const plain = await loaded(render(minimal), 'policy-sampler');
    expect(plain.rpc).toMatchObject({ plaintext: 'allow-off-loopback', maxRunningCalls: 64 });
    expect(plain.stream.tls).toBeUndefined();
    const region = { checkpoints: { type: 's3', s3: { bucket: 'b-1', region: 'eu-central-1', pathStyle: false } } };
    expect((await loaded(render(minimal, region), 'client')).store).toBe(
      's3://b-1?region=eu-central-1&path-style=false',
    );
  });

  it('lets out to brokers and to S3, and to nothing else', () => {
    const ports = (objects, title) =>
      named(objects, 'NetworkPolicy', `prod-infalign-${title}`).spec.egress.flatMap(({ ports: each }) =>
        each.map(({ port }) => port),
      );
    expect(ports(render(secure), 'ppo-learner')).toEqual([53, 53, 9094, 9095, 9000, 4317]);
    expect(ports(render(secure), 'topics')).toEqual([53, 53, 9094, 9095, 4317]);
    expect(ports(render(minimal), 'ppo-learner')).toEqual([53, 53, 9092]);
    expect(ports(render(strimzi), 'ppo-learner')).toEqual([53, 53, 9093]);
  });

  it('has Strimzi make the same topics as the services would', () => {
    const topics = Object.fromEntries(ofKind(render(strimzi), 'KafkaTopic').map(({ spec }) => [spec.topicName, spec]));
    const expected = Object.fromEntries(
      allTopics().map((topic) => {
        const config = topicConfiguration(topic, { maxRecordBytes: 4 * 2 ** 20, retentionHours: 48 }, 3);
        return [topic.name, { topicName: topic.name, partitions: 24, replicas: 3, config }];
      }),
    );
    expect(topics).toEqual(expected);
    expect(Object.values(expected).filter(({ config }) => config['cleanup.policy'] === 'compact')).toHaveLength(3);
    expect(allTopics().filter(isDeadLetterTopic)).toHaveLength(10);
  });

  it('has certificates for the names that services are called by', async () => {
    const objects = render(secure);
    const { services } = await loaded(objects, 'client');
    for (const title of titles) {
      const { spec } = named(objects, 'Certificate', `prod-infalign-${title}`);
      expect(spec.dnsNames).toContain(services[inValues(title)].address.replace(/:\d+$/, ''));
      const pod = podOf(named(objects, 'Deployment', `prod-infalign-${title}`));
      expect(pod.volumes.find(({ name }) => name === 'tls').secret.secretName).toBe(spec.secretName);
    }
  });

  it.each([
    ['its image', { policySampler: { image: { tag: '9.9.9' } } }],
    ['its settings', { policySampler: { settings: { threads: 7 } } }],
    ['its resources', { policySampler: { resources: { limits: { memory: '9Gi' } } } }],
  ])('changes the pods of one service alone when %s change', (_, services) => {
    const templates = (values) =>
      Object.fromEntries(
        ofKind(render(minimal, values), 'Deployment').map(({ metadata, spec }) => [metadata.name, spec.template]),
      );
    const [before, after] = [templates({}), templates({ services })];
    const changed = Object.keys(before).filter((each) => JSON.stringify(before[each]) !== JSON.stringify(after[each]));
    expect(changed).toEqual(['prod-infalign-policy-sampler']);
  });

  it('has a new job for the topics when they are to be others, and the same one when not', () => {
    const job = (values) => ofKind(render(minimal, values), 'Job')[0].metadata.name;
    expect(job({ kafka: { partitions: 13 } })).not.toBe(job({}));
    expect(job({ services: { evaluator: { replicas: 2 } } })).toBe(job({}));
    expect(ofKind(render(minimal, { topics: { create: false } }), 'Job')).toEqual([]);
  });

  it.each([
    [{ kafka: { partitions: 0 } }, '/kafka/partitions'],
    [{ kafka: { bootstrapServers: ['kafka'] } }, '/kafka/bootstrapServers/0'],
    [{ kafka: { partition: 4 } }, "additional properties 'partition' not allowed"],
    [{ services: { sampler: {} } }, "additional properties 'sampler' not allowed"],
    [{ services: { ppoLearner: { scaling: { minReplicas: 0 } } } }, "'scaling' not allowed"],
    [{ services: { policySampler: { settings: { drain: 3 } } } }, "'drain' not allowed"],
    [{ settings: { log_level: 'loud' } }, '/settings/log_level'],
    [{ services: { evaluator: { replicas: '2' } } }, '/services/evaluator/replicas'],
    [{ checkpoints: { type: 'tape' } }, '/checkpoints/type'],
    [{ services: { evaluator: { image: { digest: 'sha256:1' } } } }, '/services/evaluator/image/digest'],
    [{ kafka: { bootstrapServers: [] } }, 'kafka.bootstrapServers: is empty'],
    [{ kafka: { plaintext: 'loopback-only' } }, 'kafka.tls.enabled: is false'],
    [{ tls: { plaintext: 'loopback-only' } }, 'tls: has neither'],
    [{ tls: { clientCertificates: true } }, 'tls.clientCertificates: needs'],
    [{ tls: { secretName: 'a', certManager: { enabled: true } } }, 'tls.secretName: contradicts'],
    [{ tls: { certManager: { enabled: true } } }, 'tls.certManager.issuerRef.name: is missing'],
    [{ kafka: { strimzi: { enabled: true } } }, 'kafka.bootstrapServers: contradicts'],
    [{ kafka: { sasl: { enabled: true } } }, 'kafka.sasl: needs username'],
    [{ checkpoints: { type: 's3', s3: { bucket: 'b-1' } } }, 'checkpoints.s3.region: is missing'],
    [{ checkpoints: { type: 's3', s3: { region: 'x' } } }, 'checkpoints.s3.bucket: is missing'],
    [{ services: { calibrator: { replicas: 13 } } }, 'services.calibrator.replicas: is 13'],
    [
      { services: { policySampler: { scaling: { maxReplicas: 13 } } } },
      'services.policySampler.scaling.maxReplicas: is 13',
    ],
    [{ services: { evaluator: { scaling: { minReplicas: 13 } } } }, 'scaling.minReplicas: is 13'],
  ])('refuses %j by its name: %s', (values, problem) => {
    const { status, stdout, stderr } = renderText(minimal, values);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain(problem);
  });

  it('allows as settings what the services allow, and nothing else', () => {
    const { properties } = z.toJSONSchema(servicesSchema, { io: 'input' });
    const { settings } = valuesSchema.$defs;
    const own = (schema) =>
      Object.fromEntries(
        Object.entries(schema).filter(([key]) => ['enum', 'minimum', 'maximum', 'pattern'].includes(key)),
      );
    // What the language of the schema adds to whole numbers.
    const bounds = ({ maximum, ...others }) => (maximum === Number.MAX_SAFE_INTEGER ? others : { ...others, maximum });
    const same = (ofChart, ofServices, place) =>
      expect(bounds({ maximum: undefined, ...own(ofChart) }), place).toEqual(
        bounds({ maximum: undefined, ...own(ofServices) }),
      );
    for (const [key, schema] of Object.entries(settings.properties)) {
      if (key !== 'rpc') same(schema, properties[key], key);
    }
    for (const [key, schema] of Object.entries(settings.properties.rpc.properties)) {
      same(schema, properties.rpc.properties[key], `rpc.${key}`);
    }
    const kafka = valuesSchema.properties.kafka.properties;
    const stream = properties.stream.properties;
    for (const [ofChart, ofServices] of [
      ['prefix', 'prefix'],
      ['partitions', 'partitions'],
      ['replication', 'replication'],
      ['retentionHours', 'retention_hours'],
      ['sessionTimeoutMs', 'session_timeout_ms'],
      ['plaintext', 'plaintext'],
    ]) {
      same(kafka[ofChart], stream[ofServices], ofChart);
    }
    same(kafka.sasl.properties.mechanism, stream.sasl.properties.mechanism, 'mechanism');
    same(kafka.bootstrapServers.items, stream.brokers.items, 'bootstrapServers');
  });
});
