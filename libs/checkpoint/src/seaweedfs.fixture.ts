import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';

/** A SeaweedFS server of its own, on this machine, with an empty bucket. */
export interface Seaweedfs {
  readonly endpoint: string;
  readonly bucket: string;
  /** May do everything. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** May do nothing with the bucket. */
  readonly strangersCredentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  stop(): Promise<void>;
}

/** Where the program of SeaweedFS is, installed if it was not; or why it cannot be. */
export function installSeaweedfs(): { readonly program?: string; readonly reason?: string } {
  const install = join(import.meta.dirname, '..', '..', '..', 'tools', 'seaweedfs', 'install.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [install], { encoding: 'utf8' });
  return status === 0 ? { program: stdout.trim() } : { reason: stderr.trim().split('\n').at(-1)! };
}

const bucket = 'checkpoints';
const credentials = { accessKeyId: 'owner', secretAccessKey: 'secret-of-the-owner' };
const strangersCredentials = { accessKeyId: 'stranger', secretAccessKey: 'secret-of-the-stranger' };
const identity = (name: string, { accessKeyId, secretAccessKey }: typeof credentials, actions: readonly string[]) => ({
  name,
  credentials: [{ accessKey: accessKeyId, secretKey: secretAccessKey }],
  actions,
});

/** Starts a server. It ends with this process, if it is not stopped before. */
export async function startSeaweedfs(program: string): Promise<Seaweedfs> {
  const folder = mkdtempSync(join(tmpdir(), 'seaweedfs-'));
  const config = join(folder, 's3.json');
  const identities = [
    identity('owner', credentials, ['Admin', 'Read', 'Write', 'List']),
    identity('stranger', strangersCredentials, ['Read:elsewhere']),
  ];
  writeFileSync(config, JSON.stringify({ identities }));
  for (let attempt = 1; ; attempt++) {
    const server = await start(program, folder, config);
    try {
      await untilReady(server.endpoint, server.hasEnded);
      const stop = async () => {
        await server.end();
        rmSync(folder, { recursive: true, force: true });
      };
      return { endpoint: server.endpoint, bucket, credentials, strangersCredentials, stop };
    } catch (error) {
      await server.end();
      // A port that was free may have been taken by another program meanwhile.
      if (attempt < 3) continue;
      const log = readFileSync(join(folder, 'log'), 'utf8');
      rmSync(folder, { recursive: true, force: true });
      throw new Error(`SeaweedFS did not start:\n${log.slice(-2000)}`, { cause: error });
    }
  }
}

async function start(program: string, folder: string, config: string) {
  const [master, masterRpc, volume, volumeRpc, filer, filerRpc, s3, s3Rpc] = await freePorts(8);
  const data = mkdtempSync(join(folder, 'data-'));
  const flags = [
    `-dir=${data}`,
    '-ip=127.0.0.1',
    '-ip.bind=127.0.0.1',
    `-master.port=${master}`,
    `-master.port.grpc=${masterRpc}`,
    '-master.telemetry=false',
    '-master.volumeSizeLimitMB=64',
    `-volume.port=${volume}`,
    `-volume.port.grpc=${volumeRpc}`,
    '-volume.max=0',
    '-volume.preStopSeconds=0',
    '-filer',
    `-filer.port=${filer}`,
    `-filer.port.grpc=${filerRpc}`,
    `-filer.localSocket=${join(folder, 'filer.sock')}`,
    '-s3',
    `-s3.port=${s3}`,
    `-s3.port.grpc=${s3Rpc}`,
    '-s3.port.iceberg=0',
    '-s3.port.lance=0',
    `-s3.localSocket=${join(folder, 's3.sock')}`,
    `-s3.config=${config}`,
    '-s3.iam=false',
  ];
  // The shell ends the server when its input ends: also when this process is killed.
  const watch =
    'exec 3<&0; "$@" >log 2>&1 </dev/null 3<&- & pid=$!; (read -r line <&3; kill -9 $pid) & exec 3<&-; wait $pid';
  const shell = spawn('bash', ['-c', watch, 'seaweedfs', program, 'server', ...flags], {
    cwd: folder,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = once(shell, 'exit');
  return {
    endpoint: `http://127.0.0.1:${s3}`,
    hasEnded: () => shell.exitCode !== null || shell.signalCode !== null,
    async end() {
      shell.stdin.end();
      await ended;
      for (const port of [masterRpc, volumeRpc, filerRpc, s3Rpc]) {
        for (const role of ['master', 'volume', 'filer', 's3']) {
          rmSync(`/tmp/seaweedfs-${role}-grpc-${port}.sock`, { force: true });
        }
      }
    },
  };
}

async function untilReady(endpoint: string, hasEnded: () => boolean): Promise<void> {
  const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1 });
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        await client.send(new CreateBucketCommand({ Bucket: bucket }));
        return;
      } catch (error) {
        if (attempt === 600 || hasEnded()) throw error;
        await sleep(100);
      }
    }
  } finally {
    client.destroy();
  }
}

/** Ports of this machine that nothing listens on. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
