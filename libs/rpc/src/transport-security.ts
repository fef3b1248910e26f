import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { InputError } from '@infalign/core';

/** A server's certificate. All files are PEM, and read once, when the server starts. */
export interface ServerTls {
  /** The certificate, with those between it and the root. */
  certificateFile: string;
  /** Its private key. */
  keyFile: string;
  /** With it, only clients with a certificate of one of these authorities may connect (mTLS). */
  clientCaFile?: string;
}

/** What a client trusts, and its own certificate. All files are PEM, and read once. */
export interface ClientTls {
  /** The authorities that servers' certificates may be of; default: those that Node.js trusts. */
  caFile?: string;
  /** The client's certificate, where the server asks for one; with its key. */
  certificateFile?: string;
  keyFile?: string;
}

/** Whether calls may go unencrypted over a network: `loopback-only` (default) refuses, for tokens would be seen. */
export type Plaintext = 'loopback-only' | 'allow-off-loopback';

/** Whether nothing sent to this host leaves the machine. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  const version = isIP(host);
  return (version === 4 && host.startsWith('127.')) || (version === 6 && host === '::1');
}

/** @throws InputError if files are missing or no PEM, or calls would go unencrypted over a network */
export function serverCredentials(host: string, tls: ServerTls | undefined, plaintext: Plaintext): ServerCredentials {
  if (!tls) {
    if (plaintext === 'loopback-only' && !isLoopback(host)) throw unencrypted('listen on', host);
    return ServerCredentials.createInsecure();
  }
  const certificate = pem(tls.certificateFile, 'certificate');
  const key = pem(tls.keyFile, 'private key');
  const ca = tls.clientCaFile === undefined ? null : pem(tls.clientCaFile, 'certificate authority');
  checked({ ca, key, certificate }, `${tls.certificateFile} with ${tls.keyFile}`);
  return ServerCredentials.createSsl(ca, [{ private_key: key, cert_chain: certificate }], ca !== null);
}

/** @throws InputError if files are missing or no PEM, or calls would go unencrypted over a network */
export function clientCredentials(
  address: string,
  tls: ClientTls | undefined,
  plaintext: Plaintext,
): ChannelCredentials {
  if (!tls) {
    if (plaintext === 'loopback-only' && !hosts(address).every(isLoopback)) throw unencrypted('call', address);
    return ChannelCredentials.createInsecure();
  }
  const { caFile, certificateFile, keyFile } = tls;
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    throw new InputError('TLS of the client: give certificateFile and keyFile, or neither');
  }
  const ca = caFile === undefined ? null : pem(caFile, 'certificate authority');
  const certificate = certificateFile === undefined ? null : pem(certificateFile, 'certificate');
  const key = keyFile === undefined ? null : pem(keyFile, 'private key');
  checked(
    { ca, key, certificate },
    [caFile, certificateFile, keyFile].filter((file) => file !== undefined).join(' with '),
  );
  return ChannelCredentials.createSsl(ca, key, certificate);
}

/** The hosts of a gRPC address; a Unix socket is on this machine. */
function hosts(address: string): string[] {
  if (/^unix(-abstract)?:/.test(address)) return [];
  return address
    .replace(/^(dns:(\/\/[^/]*\/)?|ipv[46]:)/, '')
    .split(',')
    .map((part) => /^\[(.*)\](:\d+)?$/.exec(part)?.[1] ?? part.replace(/:\d+$/, ''));
}

function pem(file: string, what: string): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new InputError(`${file}: the ${what} cannot be read (${code}); give a PEM file that this program may read`);
  }
  if (!content.includes('-----BEGIN ')) throw new InputError(`${file}: is no ${what} in PEM format`);
  return content;
}

/** OpenSSL says here, not at the first connection, what is wrong with certificate or key. */
function checked(files: { ca: Buffer | null; key: Buffer | null; certificate: Buffer | null }, place: string): void {
  const { ca, key, certificate } = files;
  try {
    createSecureContext({
      ...(ca && { ca }),
      ...(key && { key }),
      ...(certificate && { cert: certificate }),
    });
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new InputError(
      `${place}: cannot be used for TLS (${problem}); give a PEM certificate and the key that is its own`,
    );
  }
}

function unencrypted(doing: string, where: string): InputError {
  return new InputError(
    `will not ${doing} ${where} without TLS: calls and tokens could be read on the network; give certificates, or set plaintext to allow-off-loopback where the network is otherwise protected`,
  );
}
