import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CheckpointStore } from './checkpoint-store.js';
import { describeCheckpointStore } from './conformance.fixture.js';
import { openCheckpointStore } from './open-checkpoint-store.js';
import { requireOrSkip } from './require-or-skip.fixture.js';
import { openS3Storage } from './s3-storage.js';
import { openS3Store, type S3StoreOptions } from './s3-store.js';
import { installSeaweedfs, startSeaweedfs, type Seaweedfs } from './seaweedfs.fixture.js';

const { program, reason } = installSeaweedfs();
const isTested = requireOrSkip('The checkpoint store in S3', program !== undefined, reason ?? '');

describe.runIf(isTested)('in S3', () => {
  let server: Seaweedfs;
  beforeAll(async () => {
    server = await startSeaweedfs(program!);
  }, 60_000);
  afterAll(() => server.stop());

  const location = (prefix: string) => ({
    bucket: server.bucket,
    prefix,
    region: 'us-east-1',
    endpoint: server.endpoint,
    credentials: server.credentials,
  });
  const files = new Map([
    ['config.json', '{}'],
    ['model.safetensors', 'weights'],
  ]);

  async function withStore<Result>(
    options: S3StoreOptions,
    use: (store: CheckpointStore) => Promise<Result>,
  ): Promise<Result> {
    const store = openS3Store(options);
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  }

  describeCheckpointStore('a checkpoint store', () =>
    Promise.resolve({
      address: (part: string) => `s3://${server.bucket}/conformance/${part}?endpoint=${server.endpoint}`,
      storage: (part: string) => openS3Storage(location(`conformance/${part}`)),
      environment: {
        AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
      },
      remove: () => Promise.resolve(),
    }),
  );

  describe('what people can mend', () => {
    const messageOf = (options: Partial<S3StoreOptions>) =>
      withStore({ ...location('errors'), ...options }, async (store) => {
        const failures = [store.has('v1'), store.publish('v1', files, null), store.list(''), store.read('v1')];
        const messages = await Promise.all(
          failures.map((failure) =>
            failure.then(
              () => '',
              (error: Error) => `${error.name}: ${error.message}`,
            ),
          ),
        );
        for (const message of messages) expect(message).toMatch(/^InputError: s3:\/\//);
        return messages.join('\n');
      });

    it('is told: denied or unknown credentials, without the credentials', async () => {
      const unknown = { accessKeyId: 'nobody-knows', secretAccessKey: 'unheard-of' };
      const forged = { ...server.credentials, secretAccessKey: 'guessed' };
      for (const credentials of [server.strangersCredentials, unknown, forged]) {
        const message = await messageOf({ credentials });
        expect(message).toContain(`at ${server.endpoint}: the credentials are denied: give ones that may list`);
        expect(message).not.toContain(credentials.accessKeyId);
        expect(message).not.toContain(credentials.secretAccessKey);
      }
    });

    it('is told: that no credentials were found', async () => {
      const credentials = () => Promise.reject(Object.assign(new Error('none'), { name: 'CredentialsProviderError' }));
      expect(await messageOf({ credentials })).toContain('no credentials were found: set AWS_ACCESS_KEY_ID');
    });

    it('is told: an endpoint that nothing listens on', async () => {
      const message = await messageOf({ endpoint: 'http://127.0.0.1:9' });
      expect(message).toContain('at http://127.0.0.1:9: the endpoint cannot be reached: check its address');
    });

    it('is told: a bucket that does not exist', async () => {
      await withStore({ ...location('errors'), bucket: 'no-such-bucket' }, async (store) => {
        await expect(store.list('')).rejects.toThrow(
          /s3:\/\/no-such-bucket\/errors\/ at .*there is no such bucket: create/,
        );
      });
    });
  });

  it('reads on when the connection breaks in the middle of a file', async () => {
    await withStore(location('broken'), (store) => store.publish('v1', files, null));
    let breaks = 2;
    const port = Number(new URL(server.endpoint).port);
    // Passes everything on, but ends the first answers that hold a file after half of it.
    const proxy = createServer((client) => {
      const upstream = connect(port, '127.0.0.1');
      client.pipe(upstream);
      upstream.on('data', (data) => {
        const start = data.indexOf('\r\n\r\nweights');
        if (start < 0 || breaks-- <= 0) return void client.write(data);
        client.write(data.subarray(0, start + 6), () => client.destroy());
      });
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        one.on('close', () => other.destroy()).on('error', () => other.destroy());
      }
    });
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    try {
      const endpoint = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      await withStore({ ...location('broken'), endpoint }, async (store) => {
        expect((await store.read('v1')).files.get('model.safetensors')!.toString()).toBe('weights');
      });
      expect(breaks).toBeLessThanOrEqual(0);
    } finally {
      proxy.close();
    }
  });

  it('is opened by its address, and keeps to its prefix', async () => {
    const address = (prefix: string) => `s3://${server.bucket}/${prefix}?endpoint=${server.endpoint}`;
    const { credentials } = server;
    const [a, b, whole] = ['address/a', 'address/b', ''].map((prefix) =>
      openCheckpointStore(address(prefix), { credentials }),
    );
    await a!.publish('v1', files, null);
    await b!.publish('v1', files, null);
    await a!.retain('', () => false);
    expect(await a!.list('')).toEqual([]);
    expect(await whole!.list('address')).toEqual(['address/b/v1']);
    for (const store of [a, b, whole]) await store!.close();
  });

  it('reads a file once, where it may keep it; a kept file that is damaged is read anew', async () => {
    const cacheFolder = mkdtempSync(join(tmpdir(), 'cache-'));
    try {
      const options = { ...location('cached'), cache: { folder: cacheFolder, maxBytes: 10 } };
      await withStore(options, async (store) => {
        const hash = await store.publish('v1', files, null);
        await store.read('v1');
        const storage = openS3Storage(location('cached'));
        await storage.remove(`v1/${hash}/model.safetensors`);
        expect((await store.read('v1')).files.get('model.safetensors')!.toString()).toBe('weights');
        for (const name of readdirSync(cacheFolder)) writeFileSync(join(cacheFolder, name), 'damaged');
        await expect(store.read('v1')).rejects.toThrow('model.safetensors: is missing');
        await store.publish('v1', files, null);
        expect((await store.read('v1')).files.get('model.safetensors')!.toString()).toBe('weights');
        // Room for ten bytes: the newest file has seven, the one before it six.
        await store.publish('v2', new Map([['model.safetensors', 'newer!']]), null);
        await store.read('v2');
        const kept = readdirSync(cacheFolder).map((name) => readFileSync(join(cacheFolder, name), 'utf8'));
        expect(kept).toEqual(['newer!']);
        await storage.close();
      });
    } finally {
      rmSync(cacheFolder, { recursive: true, force: true });
    }
  });
});
