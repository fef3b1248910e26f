import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  client,
  clientsByListener,
  connected,
  consume,
  createTopic,
  produce,
  settingsByListener,
} from './clients.fixture.mjs';
import { clusterStatus, startCluster, stopCluster } from './index.mjs';

const root = mkdtempSync(join(tmpdir(), 'infalign kafka '));
const onlyOnce = { retry: { retries: 0 } };
const portOf = (address) => Number(address.split(':')[1]);

const command = (...commandArguments) =>
  execFileSync(process.execPath, [join(import.meta.dirname, 'cluster.mjs'), ...commandArguments], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });

afterAll(async () => {
  for (const name of readdirSync(root)) await stopCluster(join(root, name));
  rmSync(root, { recursive: true, force: true });
});

describe('a cluster of one node', () => {
  let cluster;
  beforeAll(async () => {
    cluster = await startCluster({ folder: join(root, 'one') });
    await createTopic(client(cluster.brokers.plaintext), 'words');
  });

  it.each(['plaintext', 'sasl', 'saslTls', 'tls'])('carries records over its %s listener', async (listener) => {
    const kafka = clientsByListener(cluster)[listener];
    await createTopic(kafka, `over-${listener}`);
    await produce(kafka, `over-${listener}`, ['first', 'second']);
    expect(await consume(kafka, `over-${listener}`, 2)).toEqual(['first', 'second']);
  });

  it('advertises on each listener the address of that listener', async () => {
    for (const [listener, kafka] of Object.entries(clientsByListener(cluster))) {
      const { brokers } = await connected(kafka.admin(), (admin) => admin.describeCluster());
      expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual(cluster.brokers[listener]);
    }
  });

  it('refuses a wrong SCRAM password', async () => {
    const { sasl } = settingsByListener(cluster).sasl;
    const admin = client(cluster.brokers.sasl, { sasl: { ...sasl, password: 'wrong' }, ...onlyOnce }).admin();
    await expect(admin.connect()).rejects.toThrow(/authentication failed/i);
  });

  it('refuses TLS without a client certificate', async () => {
    const { ssl } = settingsByListener(cluster).saslTls;
    const admin = client(cluster.brokers.tls, { ssl, ...onlyOnce }).admin();
    await expect(connected(admin, () => admin.listTopics())).rejects.toThrow();
  });

  it('shows a certificate that only its own authority vouches for', async () => {
    const admin = client(cluster.brokers.saslTls, { ...settingsByListener(cluster).saslTls, ssl: true, ...onlyOnce });
    await expect(admin.admin().connect()).rejects.toThrow(/self-signed|unable to verify/);
  });

  it('listens on 127.0.0.1 only', async () => {
    const socket = connect({ host: '127.0.0.2', port: portOf(cluster.brokers.plaintext[0]) });
    const [outcome] = await Promise.race([once(socket, 'connect').then(() => ['connected']), once(socket, 'error')]);
    socket.destroy();
    expect(outcome).toBeInstanceOf(Error);
  });

  it('keeps the password from other users of the machine', () => {
    expect(statSync(join(cluster.folder, 'password')).mode & 0o777).toBe(0o600);
    const commandLines = execFileSync('ps', ['-ww', '-e', '-o', 'args='], { encoding: 'utf8' });
    expect(commandLines).not.toContain(cluster.scram.password);
  });

  it('goes on with its data at the same addresses, started from the command line, which it outlives', async () => {
    await produce(client(cluster.brokers.plaintext), 'words', ['kept']);
    await cluster.stop();
    expect(clusterStatus(cluster.folder).nodes).toEqual([{ id: 1 }]);

    expect(command('start', '--folder', cluster.folder)).toMatch(/node 1 +runs/);
    const { brokers, scram } = JSON.parse(command('status', '--json', '--folder', cluster.folder));
    expect(scram).toEqual(cluster.scram);
    expect(brokers.plaintext).toEqual(cluster.brokers.plaintext);
    expect(await consume(client(brokers.plaintext), 'words', 1)).toEqual(['kept']);

    expect(command('stop', '--folder', cluster.folder)).toBe('stopped 1\n');
    expect(command('status', '--folder', cluster.folder)).toMatch(/node 1 +does not run/);
  });

  it('says so when a node comes back and its port is taken', async () => {
    const other = createServer().listen(portOf(cluster.brokers.plaintext[0]), '127.0.0.1');
    await once(other, 'listening');
    await expect(cluster.node(1).start()).rejects.toThrow(/port .* node 1 is taken/);
    other.close();
  });

  it('ends when the process that started it is killed; and takes other ports when its own are taken', async () => {
    const { folder, brokers } = cluster;
    const other = createServer().listen(portOf(brokers.plaintext[0]), '127.0.0.1');
    await once(other, 'listening');
    const program = `
      import { startCluster } from ${JSON.stringify(new URL('index.mjs', import.meta.url).href)};
      await startCluster({ folder: ${JSON.stringify(folder)} });
      process.stdout.write('ready');
      setInterval(() => undefined, 1000);`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(owner.stdout, 'data');
    other.close();
    const now = clusterStatus(folder);
    expect(now.nodes[0].pid).toBeGreaterThan(0);
    expect(now.brokers.plaintext).not.toEqual(brokers.plaintext);
    expect(await consume(client(now.brokers.plaintext), 'words', 1)).toEqual(['kept']);

    owner.kill('SIGKILL');
    await expect.poll(() => clusterStatus(folder).nodes, { timeout: 20_000 }).toEqual([{ id: 1 }]);
  });
});

describe('kafkaAvailable', () => {
  it('tells what is missing on a machine without Java, and how to get it', () => {
    const program = `
      import { kafkaAvailable } from ${JSON.stringify(new URL('index.mjs', import.meta.url).href)};
      process.stdout.write(JSON.stringify(kafkaAvailable()));`;
    const found = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      env: { PATH: root },
    });
    expect(JSON.parse(found)).toEqual({ ok: false, missing: [expect.stringMatching(/Java 17.*openjdk-17/)] });
  });
});

describe('startCluster', () => {
  it('fails with the end of the log of a broker that does not start', async () => {
    const start = startCluster({ folder: join(root, 'wrong'), properties: { 'num.io.threads': 'many' } });
    await expect(start).rejects.toThrow(/num\.io\.threads/);
  });

  it('refuses a folder that holds a cluster of another size', async () => {
    await expect(startCluster({ folder: join(root, 'one'), nodes: 3 })).rejects.toThrow(/holds a cluster of 1 node/);
  });
});

describe('the command line', () => {
  it('removes the folder of a cluster, and no other', () => {
    expect(() => command('wipe', '--folder', root)).toThrow(/holds no cluster/);
    command('wipe', '--folder', join(root, 'one'));
    expect(readdirSync(root)).not.toContain('one');
  });
});
