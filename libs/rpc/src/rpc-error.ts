import type { status } from '@grpc/grpc-js';

/** Every way in which a call can fail: the names of gRPC's status codes, all but OK. */
export type RpcErrorCode = Exclude<keyof typeof status, 'OK'>;

/** What an error says besides its code, reason and problem. */
export interface RpcErrorDetails {
  /** What whoever called can do about it. */
  remedy?: string;
  /** More for machines, such as the id that was not found. Never a secret. */
  metadata?: Readonly<Record<string, string>>;
  /** How long to wait before trying again, in milliseconds. */
  retryAfterMs?: number;
  /** What it follows from. Stays in this process. */
  cause?: unknown;
}

/**
 * A call that failed, in a server's handler before it is sent and in a client after it was received.
 *
 * Handlers throw it for what they foresee, such as `new RpcError('NOT_FOUND', 'RUN_NOT_FOUND', 'run r1 is not known', {
 * remedy: 'start it first' })`. All of it but `cause` and the stack is shown to whoever called.
 */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  /** What is wrong, without the remedy; `message` has both. */
  readonly problem: string;
  readonly remedy: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  /**
   * @param code the status code
   * @param reason why, for machines: in upper case, such as `OVERLOADED`; unique within the code
   * @param problem why, for people
   */
  constructor(
    readonly code: RpcErrorCode,
    readonly reason: string,
    problem: string,
    { remedy, metadata, retryAfterMs, cause }: RpcErrorDetails = {},
  ) {
    super(remedy === undefined ? problem : `${problem}; ${remedy}`, cause === undefined ? {} : { cause });
    this.problem = problem;
    this.remedy = remedy;
    this.metadata = metadata ?? {};
    this.retryAfterMs = retryAfterMs;
  }
}
