import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { provisionGoProgram } from '../go/provision-go-program.mjs';
import { goPrograms } from '../go/go-programs.mjs';
import { freePorts } from '../kafka/ports.mjs';
import { run } from './chart.mjs';
import { provisionControlPlane } from './provision-control-plane.mjs';
import { goModule } from './resource-definitions.mjs';

const startMs = 120_000;

/** What simulated nodes, pods and volumes do: become ready, complete, go. */
const stages = [
  'node/fast/node-initialize',
  'node/heartbeat-with-lease/node-heartbeat-with-lease',
  ...['ready', 'complete', 'delete'].map((name) => `pod/fast/pod-${name}`),
  ...['pv-bind', 'pv-delete', 'pvc-provision', 'pvc-delete'].map((name) => `volume/fast/${name}`),
];

/**
 * @typedef {object} KubernetesCluster
 * @property {string} kubeconfig the file that clients need
 * @property {(programArguments: readonly string[], input?: string) => { status: number | null, stdout: string, stderr: string }} kubectl
 * @property {(programArguments: readonly string[], input?: string) => string} ok as `kubectl`, which has to succeed
 * @property {() => Promise<void>} stop
 */

/**
 * Starts a Kubernetes cluster on this machine: the real API server with its store, its controllers and its scheduler, and
 * nodes that are simulated. Pods are scheduled, and said to run; no container is.
 *
 * @param {object} options
 * @param {string} options.folder empty; for data, keys and logs
 * @param {number} options.nodes how many, of 16 processors and 64 GiB each, in two zones
 * @returns {Promise<KubernetesCluster>}
 */
export async function startKubernetes({ folder, nodes }) {
  const controlPlane = provisionControlPlane();
  const kwok = provisionGoProgram('kwok');
  const [client, peer, api, controllers, scheduler, simulation] = await freePorts(6);
  const file = (name) => join(folder, name);
  mkdirSync(file('certificates'), { recursive: true });
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(file('accounts.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(file('accounts.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  const token = randomBytes(16).toString('hex');
  writeFileSync(file('tokens.csv'), `${token},tester,tester,system:masters\n`, { mode: 0o600 });
  const kubeconfig = file('kubeconfig');
  const cluster = {
    server: `https://127.0.0.1:${api}`,
    // The API server makes it for itself.
    'certificate-authority': file('certificates/apiserver.crt'),
  };
  writeFileSync(
    kubeconfig,
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'test', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      'current-context': 'test',
    }),
    { mode: 0o600 },
  );
  const kustomize = join(goModule(`${goPrograms.kwok.module}@${goPrograms.kwok.version}`), 'kustomize', 'stage');
  writeFileSync(
    file('stages.yaml'),
    stages.map((name) => readFileSync(join(kustomize, `${name}.yaml`), 'utf8')).join('\n---\n'),
  );

  /** @type {{ name: string, child: import('node:child_process').ChildProcess, ended: Promise<unknown> }[]} */
  const processes = [];
  const start = (name, program, programArguments) => {
    const log = openSync(file(`${name}.log`), 'a');
    const child = spawn(program, programArguments, { stdio: ['ignore', log, log], cwd: folder });
    processes.push({ name, child, ended: once(child, 'exit') });
  };
  const kill = () => processes.forEach(({ child }) => child.kill('SIGKILL'));
  process.once('exit', kill);
  const stop = async () => {
    kill();
    await Promise.all(processes.map(({ ended }) => ended));
    process.off('exit', kill);
  };
  const kubectl = (programArguments, input) =>
    run(controlPlane, ['kubectl', ...programArguments], { input, env: { KUBECONFIG: kubeconfig, HOME: folder } });
  const ok = (programArguments, input) => {
    const { status, stdout, stderr } = kubectl(programArguments, input);
    if (status !== 0) throw new Error(`kubectl ${programArguments.join(' ')}: ${stderr}`);
    return stdout;
  };
  const until = async (what, is) => {
    for (const late = Date.now() + startMs; ; await sleep(200)) {
      if (is()) return;
      const gone = processes.find(({ child }) => child.exitCode !== null);
      if (!gone && Date.now() < late) continue;
      const log = gone
        ? `: ${readFileSync(file(`${gone.name}.log`), 'utf8')
            .trim()
            .split('\n')
            .at(-1)}`
        : '';
      throw new Error(`Kubernetes does not start: ${gone ? `${gone.name} has ended` : what}${log}`);
    }
  };

  try {
    const etcd = `http://127.0.0.1:${client}`;
    start('etcd', controlPlane, [
      ...['etcd', '--data-dir=etcd', '--unsafe-no-fsync'],
      ...[`--listen-client-urls=${etcd}`, `--advertise-client-urls=${etcd}`],
      ...[`--listen-peer-urls=http://127.0.0.1:${peer}`, `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`],
      `--initial-cluster=default=http://127.0.0.1:${peer}`,
    ]);
    start('kube-apiserver', controlPlane, [
      ...['kube-apiserver', `--etcd-servers=${etcd}`, `--secure-port=${api}`, '--bind-address=127.0.0.1'],
      ...['--advertise-address=127.0.0.1', '--endpoint-reconciler-type=none', `--cert-dir=${file('certificates')}`],
      ...[
        '--authorization-mode=RBAC',
        `--token-auth-file=${file('tokens.csv')}`,
        '--service-cluster-ip-range=10.96.0.0/16',
      ],
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${file('accounts.pub')}`,
      `--service-account-signing-key-file=${file('accounts.key')}`,
    ]);
    await until('the API server is not ready', () => kubectl(['get', '--raw', '/readyz']).stdout === 'ok');
    const asClient = [`--kubeconfig=${kubeconfig}`, '--authentication-skip-lookup=true', '--leader-elect=false'];
    start('kube-controller-manager', controlPlane, [
      ...['kube-controller-manager', ...asClient, '--bind-address=127.0.0.1', `--secure-port=${controllers}`],
      ...[`--cert-dir=${file('certificates')}`, `--service-account-private-key-file=${file('accounts.key')}`],
    ]);
    start('kube-scheduler', controlPlane, [
      ...['kube-scheduler', ...asClient, '--bind-address=127.0.0.1', `--secure-port=${scheduler}`],
      `--cert-dir=${file('certificates')}`,
    ]);
    start('kwok', kwok, [
      ...[`--kubeconfig=${kubeconfig}`, `--config=${file('stages.yaml')}`, '--manage-all-nodes=true'],
      ...[`--server-address=127.0.0.1:${simulation}`, '--node-lease-duration-seconds=40'],
    ]);
    ok(['apply', '-f', join(kustomize, 'volume', 'fast', 'storage-class.yaml')]);
    ok(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: simulatedNodes(nodes) }));
    ok(['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=60s']);
    await until('there are no accounts', () => kubectl(['get', 'serviceaccount', 'default']).status === 0);
  } catch (error) {
    await stop();
    throw error;
  }
  return { kubeconfig, kubectl, ok, stop };
}

function simulatedNodes(count) {
  return Array.from({ length: count }, (_, index) => {
    const name = `node-${index}`;
    const room = { cpu: '16', memory: '64Gi', 'ephemeral-storage': '500Gi', pods: '110' };
    return {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name,
        labels: {
          'kubernetes.io/os': 'linux',
          'kubernetes.io/arch': 'amd64',
          'kubernetes.io/hostname': name,
          'topology.kubernetes.io/zone': `zone-${index % 2}`,
        },
      },
      status: { allocatable: room, capacity: room },
    };
  });
}
