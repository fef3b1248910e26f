import { StoreUnavailable } from './store-unavailable.js';

const certificate =
  'its certificate is not trusted: correct the endpoint, or name the authority in NODE_EXTRA_CA_CERTS';
const denied =
  'the credentials are denied: give ones that may list the bucket, and get, put and delete its objects (s3:ListBucket, ' +
  's3:GetObject, s3:PutObject, s3:DeleteObject)';
const unreachable = 'the endpoint cannot be reached: check its address, the network, and that the server runs';
const noCredentials =
  'no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws, or give the machine a role';
const otherRegion = 'the bucket lies in another region, or its name is wrong: correct bucket or region';
const full = 'the storage is full: free some space, or raise its quota';

/** By the name or code of an error, as servers and the client library give it. */
const remedies: Readonly<Record<string, string>> = {
  NoSuchBucket: 'there is no such bucket: create it, or correct its name',
  AccessDenied: denied,
  InvalidAccessKeyId: denied,
  SignatureDoesNotMatch: denied,
  ExpiredToken: denied,
  InvalidToken: denied,
  CredentialsProviderError: noCredentials,
  TokenProviderError: noCredentials,
  RequestTimeTooSkewed: "this machine's clock and the server's differ: set the clock",
  PermanentRedirect: otherRegion,
  AuthorizationHeaderMalformed: otherRegion,
  QuotaExceeded: full,
  XMinioStorageFull: full,
  InsufficientStorage: full,
  ECONNREFUSED: unreachable,
  ECONNRESET: unreachable,
  EPIPE: unreachable,
  ETIMEDOUT: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ENOTFOUND: unreachable,
  EAI_AGAIN: unreachable,
  TimeoutError: unreachable,
  DEPTH_ZERO_SELF_SIGNED_CERT: certificate,
  SELF_SIGNED_CERT_IN_CHAIN: certificate,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: certificate,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: certificate,
  CERT_HAS_EXPIRED: certificate,
  ERR_TLS_CERT_ALTNAME_INVALID: certificate,
};

/** By HTTP status, for servers that give names of their own. */
const remediesOfStatus: Readonly<Record<number, string>> = { 301: otherRegion, 401: denied, 403: denied, 507: full };

/**
 * An error of S3 that people can mend becomes one message with the place and the remedy. No message of the client library is
 * passed on: some name an access key.
 *
 * @param place the object's address, and that of the server
 */
export function explainedS3(error: unknown, place: string): unknown {
  if (!(error instanceof Error)) return error;
  const names = [errorCodeOf(error), error.name];
  const status = statusOf(error);
  const known = names.find((name) => name in remedies);
  if (known !== undefined) return new StoreUnavailable(`${place}: ${remedies[known]} (${known}).`);
  const remedy = status === undefined ? undefined : remediesOfStatus[status];
  if (remedy !== undefined) return new StoreUnavailable(`${place}: ${remedy} (${error.name}, status ${status}).`);
  if (status !== undefined && status >= 500) {
    return new StoreUnavailable(
      `${place}: the server failed again and again (${error.name}, status ${status}): look at its log, and start again.`,
    );
  }
  return new Error(`${place}: ${error.name}${status === undefined ? '' : `, status ${status}`}`, { cause: error });
}

/** Whether the connection broke: another attempt may go through. */
export function isBrokenConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return [errorCodeOf(error), error.name].some((name) => remedies[name] === unreachable);
}

function errorCodeOf(error: Error): string {
  return 'code' in error ? String(error.code) : '';
}

function statusOf(error: Error): number | undefined {
  if (!('$metadata' in error)) return undefined;
  const { httpStatusCode } = error.$metadata as { readonly httpStatusCode?: number };
  return httpStatusCode;
}
