import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { provisionGoProgram } from '../go/provision-go-program.mjs';
import { chart, parsed, renderText, run, valuesFiles } from './chart.mjs';
import { titles } from './rendered-objects.mjs';
import { provisionResourceDefinitions } from './resource-definitions.mjs';
import { startKubernetes } from './start-cluster.mjs';

const { minimal } = valuesFiles;
const partitions = 40;

describe('a Kubernetes cluster with simulated nodes', { timeout: 180_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'kubernetes-'));
  /** @type {import('./start-cluster.mjs').KubernetesCluster} */
  let cluster;

  beforeAll(async () => {
    cluster = await startKubernetes({ folder, nodes: 12 });
    const { definitions } = provisionResourceDefinitions();
    // Some are too large for what `apply` remembers in annotations.
    cluster.ok(['create', '-f', definitions]);
    cluster.ok(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
    for (const name of ['rl', 'scaled']) {
      const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
      cluster.ok(
        ['apply', '-f', '-'],
        JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }),
      );
    }
  }, 600_000);

  afterAll(async () => {
    await cluster?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Installs or upgrades the release of a namespace, and waits for what it has. */
  function upgrade(namespace, valuesFile, values) {
    return run(
      provisionGoProgram('helm'),
      [
        ...['upgrade', '--install', 'prod', chart, '--namespace', namespace, '--values', valuesFile, '--values', '-'],
        ...['--wait', '--wait-for-jobs', '--timeout', '60s'],
      ],
      { input: JSON.stringify(values), env: { KUBECONFIG: cluster.kubeconfig, HOME: folder } },
    );
  }

  const get = (namespace, ...what) => JSON.parse(cluster.ok(['get', '-n', namespace, '-o', 'json', ...what]));
  const component = (title) => `app.kubernetes.io/component=${title}`;
  const podsOf = (namespace, title) => get(namespace, 'pods', '-l', component(title)).items;
  const isReady = ({ status }) => status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True');
  /** The pods of every service, by the service. */
  const podNames = (namespace) =>
    Object.fromEntries(
      titles.map((title) => [
        title,
        podsOf(namespace, title)
          .map(({ metadata }) => metadata.name)
          .sort(),
      ]),
    );

  async function until(is) {
    for (const late = Date.now() + 60_000; !is(); await sleep(200)) {
      if (Date.now() > late) throw new Error('it does not come to it');
    }
  }

  async function scale(namespace, title, replicas) {
    cluster.ok(['scale', '-n', namespace, `deployment/prod-infalign-${title}`, `--replicas=${replicas}`]);
    await until(() => {
      const pods = podsOf(namespace, title);
      return pods.length === replicas && pods.every(isReady);
    });
  }

  it.each(Object.entries(valuesFiles))(
    'takes every object of the chart with %s values, checked strictly',
    (_, file) => {
      const manifest = renderText(file).stdout;
      for (const side of [['--validate=strict'], ['--validate=strict', '--server-side']]) {
        const applied = cluster.kubectl(['apply', '--dry-run=server', ...side, '-f', '-'], manifest);
        expect(applied).toMatchObject({ status: 0, stderr: '' });
        expect(applied.stdout.trim().split('\n')).toHaveLength(parsed(manifest).length);
      }
    },
  );

  it('knows a field that there is not, of Kubernetes and of KEDA, by its name', () => {
    const manifest = renderText(valuesFiles.secure).stdout;
    const dryRun = ['apply', '--dry-run=server', '--validate=strict', '-f', '-'];
    const inPod = cluster.kubectl(dryRun, manifest.replace('terminationGracePeriodSeconds', 'terminationGrace'));
    expect(inPod).toMatchObject({ status: 1, stderr: expect.stringContaining('spec.template.spec.terminationGrace') });
    const inScaling = cluster.kubectl(dryRun, manifest.replace('cooldownPeriod', 'coolingPeriod'));
    expect(inScaling).toMatchObject({ status: 1, stderr: expect.stringContaining('spec.coolingPeriod') });
    const wrong = cluster.kubectl(dryRun, manifest.replace(/pollingInterval: \d+/, 'pollingInterval: soon'));
    expect(wrong).toMatchObject({ status: 1, stderr: expect.stringContaining('spec.pollingInterval') });
  });

  it('runs the chart: helm waits for it, and every pod has a node', () => {
    const installed = upgrade('rl', minimal, { kafka: { partitions } });
    expect(installed).toMatchObject({ status: 0, stdout: expect.stringContaining('STATUS: deployed') });
    for (const title of titles) {
      const pods = podsOf('rl', title);
      expect(pods, title).toHaveLength(1);
      expect(pods.every(isReady), title).toBe(true);
      expect(pods[0].spec.nodeName, title).toMatch(/^node-/);
    }
    expect(podsOf('rl', 'topics').map(({ status }) => status.phase)).toEqual(['Succeeded']);
    expect(get('rl', 'persistentvolumeclaim', 'prod-infalign-checkpoints').status.phase).toBe('Bound');
  });

  it('scales samplers from 1 to 40 to 0, over all nodes and both zones, and nothing else', async () => {
    const before = podNames('rl');
    await scale('rl', 'policy-sampler', partitions);
    const nodes = podsOf('rl', 'policy-sampler').map(({ spec }) => spec.nodeName);
    const perNode = counts(nodes);
    expect(perNode).toHaveLength(12);
    expect(Math.max(...perNode) - Math.min(...perNode)).toBeLessThanOrEqual(2);
    const inFirstZone = nodes.filter((name) => Number(name.slice(5)) % 2 === 0).length;
    expect(Math.abs(inFirstZone - (partitions - inFirstZone))).toBeLessThanOrEqual(2);
    await scale('rl', 'policy-sampler', 0);
    expect(podNames('rl')).toEqual({ ...before, 'policy-sampler': [] });
    await scale('rl', 'policy-sampler', 1);
  });

  it('lets one pod of each service be evicted at a time, even the only one', () => {
    for (const title of titles) {
      const { status } = get('rl', 'poddisruptionbudget', `prod-infalign-${title}`);
      expect(status, title).toMatchObject({ currentHealthy: 1, disruptionsAllowed: 1 });
    }
  });

  it('upgrades one service alone, and takes it back', async () => {
    const before = podNames('rl');
    const values = { kafka: { partitions }, services: { evaluator: { image: { tag: '0.2.0' } } } };
    expect(upgrade('rl', minimal, values)).toMatchObject({ status: 0 });
    await until(() => podsOf('rl', 'evaluator').length === 1);
    const after = podNames('rl');
    expect({ ...after, evaluator: before.evaluator }).toEqual(before);
    expect(after.evaluator).not.toEqual(before.evaluator);
    expect(podsOf('rl', 'evaluator')[0].spec.containers[0].image).toBe('infalign/evaluator:0.2.0');
    const helm = ['rollback', 'prod', '--namespace', 'rl', '--wait', '--timeout', '60s'];
    const env = { KUBECONFIG: cluster.kubeconfig, HOME: folder };
    expect(run(provisionGoProgram('helm'), helm, { env })).toMatchObject({ status: 0 });
    await until(() => podsOf('rl', 'evaluator').length === 1);
    expect(podsOf('rl', 'evaluator')[0].spec.containers[0].image).toBe('infalign/evaluator:0.1.0');
    const back = podNames('rl');
    expect({ ...back, evaluator: before.evaluator }).toEqual(before);
  });

  it('is not given a bad value: helm refuses it by its name, and what runs stays', () => {
    const before = podNames('rl');
    const refused = upgrade('rl', minimal, { kafka: { partitions: 'forty' } });
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('/kafka/partitions') });
    expect(podNames('rl')).toEqual(before);
    // What only the API server knows is refused by it.
    const cpu = { services: { evaluator: { resources: { requests: { cpu: 'two' } } } } };
    const unknown = upgrade('rl', minimal, { kafka: { partitions }, ...cpu });
    expect(unknown.status).toBe(1);
    expect(unknown.stderr).toMatch(/evaluator[^]*cpu|cpu[^]*evaluator|quantities must match/);
    expect(podNames('rl')).toEqual(before);
  });

  it('keeps the replicas that something else has set, where that is how services are scaled', async () => {
    const values = { kafka: { partitions }, keda: { enabled: true } };
    expect(upgrade('scaled', minimal, values)).toMatchObject({ status: 0 });
    const scaledObjects = get('scaled', 'scaledobjects.keda.sh').items;
    expect(
      scaledObjects.map(({ spec }) => [spec.scaleTargetRef.name, spec.minReplicaCount, spec.maxReplicaCount]),
    ).toEqual(
      ['evaluator', 'policy-sampler', 'reward-scorer'].map((title) => [`prod-infalign-${title}`, 0, partitions]),
    );
    await scale('scaled', 'policy-sampler', 7);
    await scale('scaled', 'evaluator', 0);
    const again = { ...values, services: { calibrator: { image: { tag: '0.2.0' } } } };
    expect(upgrade('scaled', minimal, again)).toMatchObject({ status: 0 });
    const replicas = (title) => get('scaled', 'deployment', `prod-infalign-${title}`).spec.replicas;
    expect(['policy-sampler', 'evaluator', 'ppo-learner'].map(replicas)).toEqual([7, 0, 1]);
  });

  it('is left by a release but for the checkpoints', async () => {
    const helm = ['uninstall', 'prod', '--namespace', 'rl', '--wait', '--timeout', '60s'];
    const env = { KUBECONFIG: cluster.kubeconfig, HOME: folder };
    expect(run(provisionGoProgram('helm'), helm, { env })).toMatchObject({ status: 0 });
    await until(() => get('rl', 'pods').items.length === 0);
    expect(get('rl', 'deployments,services,configmaps', '-l', 'app.kubernetes.io/part-of=infalign').items).toEqual([]);
    expect(get('rl', 'persistentvolumeclaims').items.map(({ metadata }) => metadata.name)).toEqual([
      'prod-infalign-checkpoints',
    ]);
  });
});

function counts(names) {
  return [...new Set(names)].map((name) => names.filter((each) => each === name).length);
}
