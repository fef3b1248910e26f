import {
  ServerInterceptingCall,
  type Metadata,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import type { Logger } from '@infalign/telemetry';
import { statusFromError } from './error-status.js';
import { RpcError } from './rpc-error.js';
import { findToken, readTokenFile, type AccessToken } from './token-file.js';

/** Who may call what. */
export interface Authorisation {
  /** See {@link readTokenFile}. */
  tokenFile: string;
  /** Who may ask for the health of services; default `anyone`, as probes have no token. */
  health?: Access;
  /** Who may ask which services there are; default `any-token`. */
  reflection?: Access;
}

/** `anyone`, with or without a token; `any-token`: whoever has a token of the file, whatever it allows. */
export type Access = 'anyone' | 'any-token';

const anonymous = 'anonymous';

/** Callers of the calls that were let in. What a client sends cannot forge it. */
const callers = new WeakMap<Metadata, string>();

/** The name of the caller whose call came with this metadata. */
export function callerOf(metadata: Metadata): string {
  return callers.get(metadata) ?? anonymous;
}

/**
 * Lets calls in by their bearer token, before their message is read: UNAUTHENTICATED without a token that is known,
 * PERMISSION_DENIED where the token does not allow the method. The token goes no further.
 *
 * @throws InputError if the token file cannot be used
 */
export function authorisationInterceptor(authorisation: Authorisation | undefined, logger: Logger): ServerInterceptor {
  const tokens = authorisation && readTokenFile(authorisation.tokenFile);
  return ({ path }, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, proceed) => {
            const caller = tokens ? callerAllowed(path, metadata, tokens, authorisation) : anonymous;
            if (caller instanceof RpcError) {
              refuse(call, path, caller, logger);
              return;
            }
            metadata.remove('authorization');
            callers.set(metadata, caller);
            proceed(metadata);
          },
        }),
    });
}

function refuse(call: ServerInterceptingCallInterface, path: string, error: RpcError, logger: Logger): void {
  const { code, reason, metadata } = error;
  logger.warn({ method: path.slice(1), code, reason, ...metadata, peer: call.getPeer() }, 'call refused');
  call.sendStatus(statusFromError(error));
}

function callerAllowed(
  path: string,
  metadata: Metadata,
  tokens: readonly AccessToken[],
  authorisation: Authorisation,
): string | RpcError {
  const access = specialAccess(path, authorisation);
  if (access === 'anyone') return anonymous;
  const token = findToken(tokens, bearerToken(metadata));
  if (!token) {
    return new RpcError('UNAUTHENTICATED', 'TOKEN_REQUIRED', `${path.slice(1)}: no token, or one that is not known`, {
      remedy: 'send `authorization: Bearer …` with a token of the token file of this service',
    });
  }
  if (access === 'any-token' || token.allows(path.slice(1))) return token.name;
  return new RpcError(
    'PERMISSION_DENIED',
    'METHOD_NOT_ALLOWED',
    `${path.slice(1)}: the token of ${token.name} does not allow it`,
    { remedy: 'allow the method in the token file of this service', metadata: { caller: token.name } },
  );
}

function specialAccess(path: string, { health, reflection }: Authorisation): Access | undefined {
  if (path.startsWith('/grpc.health.v1.Health/')) return health ?? 'anyone';
  if (/^\/grpc\.reflection\.v1(alpha)?\.ServerReflection\//.test(path)) return reflection ?? 'any-token';
  return undefined;
}

function bearerToken(metadata: Metadata): string | undefined {
  const [value = ''] = metadata.get('authorization');
  return /^Bearer (\S+)$/i.exec(value.toString())?.[1];
}
