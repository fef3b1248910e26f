import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InputError } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { openCheckpointStore } from './open-checkpoint-store.js';

describe("a checkpoint store's address", () => {
  it('may be the path of a folder, or its URL', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'checkpoints-'));
    try {
      await openCheckpointStore(folder).publish('v1', new Map(), null);
      expect(await openCheckpointStore(pathToFileURL(folder).href).list('')).toEqual(['v1']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('may be that of a bucket, with what the application adds to it', async () => {
    for (const address of [
      's3://bucket?region=eu-central-1',
      's3://bucket/a/b/?endpoint=https://storage.example.com:9000',
      's3://bucket/a?region=eu-central-1&endpoint=http://127.0.0.1:8333&path-style=false',
    ]) {
      await openCheckpointStore(address).close();
    }
    await openCheckpointStore('s3://bucket', { region: 'eu-central-1' }).close();
  });

  it('is refused where it is wrong, with what is wrong, and without the secrets in it', () => {
    for (const [address, problem] of [
      ['', 'is empty'],
      ['gs://bucket', 'of the kind gs: are not known'],
      ['file://elsewhere/folder', 'no folder of this machine'],
      ['s3:bucket', 'no legal bucket name'],
      ['s3://', 'no legal bucket name'],
      ['s3://My_Bucket/a?region=x', 'no legal bucket name (My_Bucket)'],
      ['s3://bucket', 'has no region'],
      ['s3://bucket/a?region=a b', 'has no region'],
      ['s3://bucket/a%2f..?region=x', 'has a prefix that is not'],
      ['s3://bucket/a?region=x#b', "behind '#'"],
      ['s3://key:topsecret@bucket/a?region=x', 'holds credentials'],
      ['s3://key@bucket/a?region=x', 'holds credentials'],
      ['s3://key:topsecret/a', 'malformed'],
      ['s3://bucket/a?region=x&secretAccessKey=topsecret', 'an unknown setting "secretAccessKey"'],
      ['s3://bucket/a?endpoint=http://key:topsecret@host', 'an endpoint that is not'],
      ['s3://bucket/a?endpoint=ftp://host', 'an endpoint that is not'],
      ['s3://bucket/a?endpoint=http://host/path', 'an endpoint that is not'],
      ['s3://bucket/a?region=x&path-style=yes', 'neither true nor false'],
    ] as const) {
      expect(() => openCheckpointStore(address), address).toThrow(InputError);
      expect(() => openCheckpointStore(address), address).toThrow(problem);
      expect(() => openCheckpointStore(address)).not.toThrow('topsecret');
    }
  });
});
