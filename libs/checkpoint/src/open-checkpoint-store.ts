import { fileURLToPath } from 'node:url';
import { InputError } from '@infalign/core';
import { isCheckpointName } from './checkpoint-name.js';
import type { CheckpointStore } from './checkpoint-store.js';
import { openFolderStore } from './folder-store.js';
import { openS3Store, type S3StoreOptions } from './s3-store.js';

/** What a checkpoint store's address does not say. Only `leftoverGraceMs` counts for a folder. */
export type OpenCheckpointStoreOptions = Partial<
  Pick<S3StoreOptions, 'region' | 'credentials' | 'cache' | 'leftoverGraceMs'>
>;

/** Servers other than Amazon's want a region too, but do not mind which. */
const regionOfOwnEndpoint = 'us-east-1';

/**
 * Opens the checkpoint store at an address: the path of a folder, `file:///path`, or
 * `s3://bucket/prefix?region=eu-central-1`, for servers other than Amazon's with `endpoint=http://host:port` and, where they
 * want the bucket in the host name, `path-style=false`.
 *
 * @throws InputError if the address is malformed, or holds credentials
 */
export function openCheckpointStore(address: string, options: OpenCheckpointStoreOptions = {}): CheckpointStore {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]+):/.exec(address)?.[1]?.toLowerCase();
  if (address === '')
    throw new InputError('checkpoint store: the address is empty. Give a folder, or s3://bucket/prefix.');
  if (scheme === undefined) return openFolderStore(address, options);
  if (scheme === 'file') return openFolderStore(folderOfUrl(address), options);
  if (scheme === 's3') return openS3Store({ ...options, ...parseS3(address, options) });
  throw new InputError(
    `checkpoint store: addresses of the kind ${scheme}: are not known. Give a folder, or s3://bucket/prefix.`,
  );
}

function folderOfUrl(address: string): string {
  try {
    return fileURLToPath(address);
  } catch {
    throw new InputError(
      `checkpoint store: ${address} names no folder of this machine. Give file:///path, or the path.`,
    );
  }
}

function parseS3(address: string, options: OpenCheckpointStoreOptions): Omit<S3StoreOptions, 'credentials'> {
  // The address itself is in no message: it may hold what should not be there.
  const refuse = (problem: string): InputError =>
    new InputError(
      `checkpoint store: the s3: address ${problem}. Give s3://bucket/prefix?region=…, with &endpoint=http://host:port for ` +
        'a server of your own.',
    );
  const url = parseUrl(address);
  if (url === undefined) throw refuse('is malformed');
  if (url.username !== '' || url.password !== '') {
    throw refuse('holds credentials: they belong into the environment or ~/.aws, where no log shows them');
  }
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.host)) throw refuse(`has no legal bucket name (${url.host})`);
  const prefix = url.pathname.replace(/^\/|\/$/g, '');
  if (prefix !== '' && !isCheckpointName(prefix)) {
    throw refuse(`has a prefix that is not of letters, digits, '_', '.' and '-' between '/'`);
  }
  if (url.hash !== '') throw refuse("has a part behind '#'");
  const settings = new Map(url.searchParams);
  const take = (name: string): string | undefined => {
    const value = settings.get(name);
    settings.delete(name);
    return value;
  };
  const endpoint = take('endpoint');
  const pathStyle = take('path-style');
  const region = take('region') ?? options.region ?? (endpoint === undefined ? undefined : regionOfOwnEndpoint);
  const [unknown] = settings.keys();
  if (unknown !== undefined) throw refuse(`has an unknown setting ${JSON.stringify(unknown)}`);
  if (endpoint !== undefined && !isEndpoint(endpoint)) {
    throw refuse('has an endpoint that is not http(s)://host:port, without anything more');
  }
  if (pathStyle !== undefined && !['true', 'false'].includes(pathStyle)) {
    throw refuse('has a path-style that is neither true nor false');
  }
  if (region === undefined || !/^[a-z0-9-]+$/.test(region)) throw refuse('has no region');
  return {
    bucket: url.host,
    prefix,
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(pathStyle === undefined ? {} : { forcePathStyle: pathStyle === 'true' }),
  };
}

function isEndpoint(text: string): boolean {
  const url = parseUrl(text);
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return false;
  return url.username === '' && url.password === '' && url.search === '' && url.hash === '' && url.pathname === '/';
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
