import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { alertRules, dashboards, grafanaDashboard } from '@infalign/monitoring';
import { allTopics, isDeadLetterTopic } from '@infalign/rollout-stream';
import { loadServices } from '@infalign/run-config';
import { consumers } from '@infalign/services';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { topicConfiguration } from '../../libs/rollout-stream/src/kafka/topic-configuration.ts';
import { experimentSchema } from '../../libs/run-config/src/experiment-schema.ts';
import { servicesSchema } from '../../libs/run-config/src/services-schema.ts';
import { provisionGoProgram } from '../go/provision-go-program.mjs';
import { scaleDownStabilisationSeconds } from '../scaling/autoscaler.mjs';
import { defaults as simulated } from '../scaling/defaults.mjs';
import { recordsPerSecond } from '../scaling/system.mjs';
import { chart, parsed, render, renderText, run, valuesFiles } from './chart.mjs';
import { inValues, mountedAt, named, ofKind, pathsIn, podOf, pods, titles } from './rendered-objects.mjs';
import { kubernetesVersion, provisionResourceDefinitions } from './resource-definitions.mjs';
import valuesSchema from '../../infra/helm/infalign/values.schema.json' with { type: 'json' };

const folder = mkdtempSync(join(tmpdir(), 'chart-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A services file of the chart, as the services read it. */
async function loaded(objects, component) {
  const { data } = named(objects, 'ConfigMap', `prod-infalign-${component}`);
  const file = join(folder, 'services.yaml');
  writeFileSync(file, data['services.yaml']);
  return await loadServices(file);
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

/** The paths of all settings below a schema's properties. */
function settingsIn(properties) {
  return Object.entries(properties).flatMap(([key, schema]) =>
    schema.properties ? settingsIn(schema.properties).map((path) => [key, ...path]) : [[key]],
  );
}

describe('with values of its own', () => {
  const { minimal, secure, strimzi } = valuesFiles;

  it('reaches brokers, buckets and callers in the way that the values say', async () => {
    const sampler = await loaded(render(secure), 'policy-sampler');
    expect(sampler).toMatchObject({
      store: 's3://team-a-checkpoints/production/runs?endpoint=https://storage.example.com:9000',
      storeCacheMib: 16_384,
      logLevel: 'warn',
      threads: 2,
      drainSeconds: 120,
      stream: { prefix: 'team-a.', partitions: 40, sasl: { mechanism: 'scram-sha-512', username: 'infalign' } },
      rpc: { maxRunningCalls: 32, tls: { clientCaFile: '/etc/infalign/tls/ca.crt' } },
    });
    for (const [cacheSize, storeCacheMib] of [
      ['1.5Gi', 1228],
      ['500M', 381],
      ['100', 1],
    ]) {
      const values = { checkpoints: { s3: { cacheSize } } };
      expect(await loaded(render(secure, values), 'policy-sampler')).toMatchObject({ storeCacheMib });
    }
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
    expect(ports(render(secure), 'ppo-learner')).toEqual([53, 53, 9094, 9095, 9000, 4318, 4317]);
    expect(ports(render(secure), 'topics')).toEqual([53, 53, 9094, 9095, 4317]);
    expect(ports(render(minimal), 'ppo-learner')).toEqual([53, 53, 9092]);
    expect(ports(render(strimzi), 'ppo-learner')).toEqual([53, 53, 9093]);
    const collector = (endpoint) =>
      render(minimal, { telemetry: { otlp: { endpoint, plaintext: 'allow-off-loopback' } } });
    expect(ports(collector('https://collector.example.com/path'), 'evaluator')).toEqual([53, 53, 9092, 443]);
    expect(ports(collector('http://[fd00::1]:4319/path'), 'evaluator')).toEqual([53, 53, 9092, 4319]);
  });

  it('has services measure what the values say, and nothing unless they do', async () => {
    const watched = render(secure);
    expect((await loaded(watched, 'calibrator')).telemetry).toEqual({
      logContent: false,
      otlp: {
        endpoint: 'https://collector.example.com:4318',
        plaintext: 'loopback-only',
        intervalSeconds: 30,
        traceShare: 0.1,
      },
      prometheus: { host: '0.0.0.0', plaintext: 'allow-off-loopback' },
    });
    expect((await loaded(render(minimal), 'calibrator')).telemetry).toEqual({ logContent: false });
    const shown = ({ env }) => env.find(({ name }) => name === 'OTEL_EXPORTER_OTLP_HEADERS')?.valueFrom.secretKeyRef;
    const [of] = podOf(named(watched, 'Deployment', 'prod-infalign-calibrator')).containers;
    expect(shown(of)).toEqual({ name: 'collector', key: 'headers' });
    // A collector in the pod itself is on its loopback.
    for (const endpoint of ['http://localhost:4318', 'http://127.0.0.1', 'http://[::1]:4318/v1']) {
      const { telemetry } = await loaded(render(minimal, { telemetry: { otlp: { endpoint } } }), 'evaluator');
      expect(telemetry.otlp).toMatchObject({ endpoint, plaintext: 'loopback-only' });
    }
  });

  it.each(titles)(
    'lets Prometheus read the metrics of the %s, under the name that alerts know it by',
    async (title) => {
      const objects = render(secure);
      const { metricsPort } = (await loaded(objects, title)).services[inValues(title)];
      const { labels } = named(objects, 'Deployment', `prod-infalign-${title}`).spec.template.metadata;
      const [monitor] = ofKind(objects, 'PodMonitor');
      expect(monitor.metadata.labels.release).toBe('prometheus');
      expect(labels).toMatchObject(monitor.spec.selector.matchLabels);
      expect(labels[monitor.spec.jobLabel]).toBe(title);
      const [endpoint] = monitor.spec.podMetricsEndpoints;
      const [container] = podOf(named(objects, 'Deployment', `prod-infalign-${title}`)).containers;
      expect(container.ports.find(({ name }) => name === endpoint.port)).toMatchObject({ containerPort: metricsPort });
      const { ingress } = named(objects, 'NetworkPolicy', `prod-infalign-${title}`).spec;
      const monitoring = { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } };
      expect(ingress.filter(({ ports }) => ports.some(({ port }) => port === metricsPort))).toEqual([
        { ports: [{ port: metricsPort, protocol: 'TCP' }], from: [{ namespaceSelector: monitoring }] },
      ]);
      const unwatched = render(minimal);
      const [plain] = podOf(named(unwatched, 'Deployment', `prod-infalign-${title}`)).containers;
      expect(plain.ports.map(({ name }) => name)).toEqual(['grpc', 'health']);
      expect(named(unwatched, 'NetworkPolicy', `prod-infalign-${title}`).spec.ingress).toHaveLength(1);
    },
  );

  it('has the alerts and dashboards that are generated, as they are', () => {
    const objects = render(secure);
    const [rule] = ofKind(objects, 'PrometheusRule');
    expect(rule.metadata.labels.release).toBe('prometheus');
    expect(rule.spec).toEqual(alertRules());
    const shown = ofKind(objects, 'ConfigMap').filter(({ metadata }) => metadata.labels.grafana_dashboard === '1');
    const files = Object.assign({}, ...shown.map(({ data }) => data));
    expect(Object.keys(files)).toHaveLength(shown.length);
    const generated = dashboards.map((each) => [`infalign-${each.name}.json`, grafanaDashboard(each)]);
    expect(Object.fromEntries(Object.entries(files).map(([file, text]) => [file, JSON.parse(text)]))).toEqual(
      JSON.parse(JSON.stringify(Object.fromEntries(generated))),
    );
    for (const kind of ['PodMonitor', 'PrometheusRule']) expect(ofKind(render(minimal), kind)).toEqual([]);
  });

  it('scales by default as the simulation found best, at about the rates that were measured', () => {
    const { keda, services } = parse(readFileSync(join(chart, 'values.yaml'), 'utf8'));
    expect(keda).toEqual({
      enabled: false,
      pollingSeconds: simulated.pollingSeconds,
      cooldownSeconds: simulated.cooldownSeconds,
      workSeconds: simulated.secondsOfWork,
      scaleDownSeconds: scaleDownStabilisationSeconds,
    });
    const { ppo } = z.toJSONSchema(experimentSchema, { io: 'input', unrepresentable: 'any' }).properties;
    const rates = recordsPerSecond(ppo.properties.rollouts_per_prompt.default);
    const scaled = titles.filter((title) => services[inValues(title)].scaling);
    expect([...scaled].sort()).toEqual(Object.keys(rates).sort());
    // Round numbers, which a new measurement need not change: what is off by two costs or waits.
    for (const title of scaled) {
      const off = services[inValues(title)].scaling.recordsPerSecond / rates[title];
      expect(off, title).toBeGreaterThan(1 / 1.5);
      expect(off, title).toBeLessThan(1.5);
    }
  });

  it('lets seconds of work wait for a replica, and a record at least', () => {
    const thresholds = (values) =>
      Object.fromEntries(
        ofKind(render(strimzi, values), 'ScaledObject').map(({ metadata, spec }) => [
          metadata.name.replace('prod-infalign-', ''),
          spec.triggers.map(({ metadata: trigger }) => trigger.lagThreshold),
        ]),
      );
    expect(thresholds({})).toEqual({
      'policy-sampler': ['600'],
      'reward-scorer': ['20000'],
      evaluator: ['7000', '1'],
    });
    const services = {
      policySampler: { scaling: { recordsPerSecond: 0.02 } },
      rewardScorer: { scaling: { recordsPerSecond: 2.5 } },
      evaluator: { scaling: { recordsPerSecond: 1e6 } },
    };
    expect(thresholds({ keda: { workSeconds: 6.4 }, services })).toEqual({
      'policy-sampler': ['1'],
      'reward-scorer': ['16'],
      evaluator: ['6400000', '1'],
    });
    // How fast replicas come and go is otherwise Kubernetes' own, as it is simulated.
    for (const { spec } of ofKind(render(strimzi), 'ScaledObject')) {
      expect(spec.advanced.horizontalPodAutoscalerConfig.behavior).toEqual({
        scaleDown: { stabilizationWindowSeconds: scaleDownStabilisationSeconds },
      });
    }
  });

  describe('of monitoring and scaling', () => {
    const { telemetry, keda } = valuesSchema.properties;
    const { scaling } = valuesSchema.$defs.scaledService.properties;
    const places = [
      ...settingsIn({ telemetry, keda }),
      ...settingsIn({ scaling }).map((place) => ['services', 'evaluator', ...place]),
    ];
    const others = {
      'telemetry.otlp.endpoint': 'https://other.example.com:4318',
      'telemetry.otlp.plaintext': 'allow-off-loopback',
      'telemetry.otlp.intervalSeconds': 7,
      'telemetry.otlp.traceShare': 1,
      'telemetry.otlp.headersSecret.name': 'other',
      'telemetry.otlp.headersSecret.key': 'other',
      'telemetry.prometheus.scrapers': [{ podSelector: {} }],
      'telemetry.prometheus.podMonitor.enabled': false,
      'telemetry.prometheus.podMonitor.labels': { release: 'other' },
      'telemetry.prometheus.rules.enabled': false,
      'telemetry.prometheus.rules.labels': { release: 'other' },
      'telemetry.prometheus.dashboards.enabled': false,
      'telemetry.prometheus.dashboards.labels': { grafana_dashboard: 'other' },
      'telemetry.logContent': true,
      'keda.enabled': false,
      'keda.pollingSeconds': 7,
      'keda.cooldownSeconds': 7,
      'keda.workSeconds': 7,
      'keda.scaleDownSeconds': 7,
      'services.evaluator.scaling.minReplicas': 3,
      'services.evaluator.scaling.maxReplicas': 3,
      'services.evaluator.scaling.recordsPerSecond': 3,
    };
    /** Where these contradict the others, they are refused by name, as below. */
    const refused = ['telemetry.prometheus.enabled', 'telemetry.prometheus.plaintext'];
    let unchanged;
    beforeAll(() => {
      unchanged = renderText(secure).stdout;
    });

    it('every value is tried here', () => {
      expect(places.map((place) => place.join('.')).sort()).toEqual([...Object.keys(others), ...refused].sort());
    });

    it.each(Object.entries(others))('%s is used', (place, other) => {
      const values = place
        .split('.')
        .reverse()
        .reduce((inner, key) => ({ [key]: inner }), other);
      const { status, stdout } = renderText(secure, values);
      expect(status).toBe(0);
      expect(stdout).not.toBe(unchanged);
    });
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
    [{ settings: { drain_seconds: 900 } }, 'settings.drain_seconds: every service has its own'],
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
    [{ services: { evaluator: { scaling: { recordsPerSecond: 0 } } } }, '/services/evaluator/scaling/recordsPerSecond'],
    [{ services: { evaluator: { scaling: { lagPerReplica: 9 } } } }, "'lagPerReplica' not allowed"],
    [{ keda: { workSeconds: 0 } }, '/keda/workSeconds'],
    [{ telemetry: { otlp: { endpoint: 'collector:4318' } } }, '/telemetry/otlp/endpoint'],
    [{ telemetry: { otlp: { traceShare: 2 } } }, '/telemetry/otlp/traceShare'],
    [{ telemetry: { otlp: { intervalSeconds: 0 } } }, '/telemetry/otlp/intervalSeconds'],
    [{ telemetry: { otlp: { endpoint: 'http://127.0.0.example.com' } } }, 'telemetry.otlp.endpoint: is not encrypted'],
    [{ telemetry: { otlp: { headersSecret: { name: 'a' } } } }, 'telemetry.otlp.headersSecret: needs'],
    [{ telemetry: { prometheus: { scrapers: [7] } } }, '/telemetry/prometheus/scrapers/0'],
    [{ telemetry: { prometheus: { scraper: [] } } }, "'scraper' not allowed"],
    [
      { telemetry: { prometheus: { enabled: true, scrapers: [{ podSelector: {} }] } } },
      'telemetry.prometheus.enabled: services will not',
    ],
    [
      { telemetry: { prometheus: { enabled: true, plaintext: 'allow-off-loopback' } } },
      'telemetry.prometheus.scrapers: is empty',
    ],
    [
      { telemetry: { prometheus: { podMonitor: { enabled: true } } } },
      'telemetry.prometheus.podMonitor.enabled: needs',
    ],
    [{ telemetry: { prometheus: { rules: { enabled: true } } } }, 'telemetry.prometheus.rules.enabled: needs'],
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
    const { otlp, prometheus } = valuesSchema.properties.telemetry.properties;
    const telemetry = properties.telemetry.properties;
    for (const [ofChart, ofServices] of [
      ['plaintext', 'plaintext'],
      ['intervalSeconds', 'interval_seconds'],
      ['traceShare', 'trace_share'],
    ]) {
      same(otlp.properties[ofChart], telemetry.otlp.properties[ofServices], ofChart);
    }
    same(prometheus.properties.plaintext, telemetry.prometheus.properties.plaintext, 'plaintext');
    // Of the chart's, none is empty text.
    const endpoint = otlp.properties.endpoint.pattern.replace(/^\^\((.*)\)\?\$$/, '^$1$');
    expect(endpoint).toBe(telemetry.otlp.properties.endpoint.pattern);
    same(kafka.bootstrapServers.items, stream.brokers.items, 'bootstrapServers');
  });
});
