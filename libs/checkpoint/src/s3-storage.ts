import type * as Sdk from '@aws-sdk/client-s3';
import type { GetObjectCommandOutput, S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import type { ObjectStorage, StoredObject } from './object-storage.js';
import { explainedS3, isBrokenConnection } from './s3-errors.js';

/** Where objects lie in S3, and how to get there. */
export interface S3Location {
  readonly bucket: string;
  /** Begins every key; without `/` at its ends. Empty for the whole bucket. */
  readonly prefix: string;
  readonly region: string;
  /** Of a server other than Amazon's: `http://127.0.0.1:8333`. */
  readonly endpoint?: string;
  /** By default those that the AWS SDK finds: environment, profile, role of the machine or the pod. */
  readonly credentials?: NonNullable<S3ClientConfig['credentials']>;
  /** Whether the bucket is named in the path, not in the host name; by default with an endpoint of one's own. */
  readonly forcePathStyle?: boolean;
}

const connectionTimeoutMs = 5_000;
/** How long a connection may be silent. */
const silenceMs = 30_000;
const maxAttempts = 4;

/** Keeps objects in a bucket. Connects when it is first used. */
export function openS3Storage(location: S3Location): ObjectStorage {
  const { bucket, prefix, endpoint } = location;
  const inBucket = (key: string) => (prefix === '' ? key : `${prefix}/${key}`);
  const place = (key: string) => `s3://${bucket}/${inBucket(key)}`;

  let opening: Promise<Connection> | undefined;
  /** Runs an operation on the bucket; what fails is explained. */
  async function run<Result>(key: string, operation: (connection: Connection) => Promise<Result>): Promise<Result> {
    try {
      return await operation(await (opening ??= connect(location)));
    } catch (error) {
      throw explainedS3(error, endpoint === undefined ? place(key) : `${place(key)} at ${endpoint}`);
    }
  }

  return {
    place,
    // A bucket that is not there is an error of its own.
    isThere: () => Promise.resolve(true),

    async put(key, bytes) {
      await run(key, ({ client, sdk }) =>
        client.send(new sdk.PutObjectCommand({ Bucket: bucket, Key: inBucket(key), Body: bytes })),
      );
    },

    get(key) {
      return run(key, async ({ client, sdk }) => {
        const get = () => client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: inBucket(key) }));
        try {
          return await receive(get);
        } catch (error) {
          if (error instanceof sdk.NoSuchKey) return undefined;
          throw error;
        }
      });
    },

    list(folder) {
      return run(folder, async ({ client, sdk }) => {
        const found: StoredObject[] = [];
        const start = inBucket(folder);
        const pages = sdk.paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: start });
        for await (const page of pages) {
          for (const { Key: key, LastModified: modified, Size: bytes } of page.Contents ?? []) {
            if (key === undefined || modified === undefined || bytes === undefined) continue;
            found.push({ key: key.slice(inBucket('').length), modifiedMs: modified.getTime(), bytes });
          }
        }
        return found;
      });
    },

    async remove(key) {
      await run(key, ({ client, sdk }) =>
        client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: inBucket(key) })),
      );
    },

    async close() {
      (await opening)?.client.destroy();
    },
  };
}

interface Connection {
  readonly client: S3Client;
  readonly sdk: typeof Sdk;
}

/** The SDK takes a third of a second to load: who keeps checkpoints in a folder does not wait for it. */
async function connect({ region, endpoint, credentials, forcePathStyle }: S3Location): Promise<Connection> {
  const sdk = await import('@aws-sdk/client-s3');
  const client = new sdk.S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
    forcePathStyle: forcePathStyle ?? endpoint !== undefined,
    maxAttempts,
    requestHandler: { connectionTimeout: connectionTimeoutMs, socketTimeout: silenceMs },
    // Requests are signed with the SHA-256 of their content, and what is read is checked against the manifest: checksums
    // beyond those would only exclude servers that do not know them.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  return { client, sdk };
}

/** The SDK repeats a request that fails, but not one whose answer breaks off. */
async function receive(get: () => Promise<GetObjectCommandOutput>): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    const { Body: body } = await get();
    if (body === undefined) return Buffer.alloc(0);
    try {
      const bytes = await body.transformToByteArray();
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    } catch (error) {
      if (!isBrokenConnection(error) || attempt === maxAttempts) throw error;
    }
  }
}
