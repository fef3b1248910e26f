import { Metadata, status, type StatusObject } from '@grpc/grpc-js';
import { bytesField, presentField, varintField, wireFields } from './protobuf-wire.js';
import { RpcError, type RpcErrorCode } from './rpc-error.js';

/** Under this name gRPC carries a google.rpc.Status with details. */
const detailsKey = 'grpc-status-details-bin';
const typePrefix = 'type.googleapis.com/google.rpc.';
const domain = 'infalign';

/** Headers of HTTP/2 are limited to 64 KiB in all; a message stands in them twice, percent-encoded once. */
const maxTextLength = 1000;
const maxMetadataLength = 500;
const maxMetadataEntries = 16;

/**
 * An error as it goes over the wire: code and message, and in the trailers a google.rpc.Status with ErrorInfo (reason,
 * domain `infalign`, metadata; the remedy under `remedy`) and, where it makes sense to try again, RetryInfo.
 */
export function statusFromError(error: RpcError): StatusObject {
  const message = wireText(error.message);
  const metadata = new Metadata();
  metadata.set(detailsKey, encodeStatus(error, message));
  return { code: status[error.code], details: message, metadata };
}

/**
 * The error that a status from the wire stands for. Where it has no details of ours (it comes from a proxy, from the
 * transport, or from gRPC itself), reason is the name of the code.
 *
 * @param place what was called, for the message of an error that does not come from a handler
 */
export function errorFromStatus(
  { code, details, metadata }: Pick<StatusObject, 'code' | 'details'> & Partial<StatusObject>,
  place: string,
): RpcError {
  const name = codeName(code);
  const packed = metadata?.get(detailsKey)[0];
  if (Buffer.isBuffer(packed)) {
    try {
      const error = decodeStatus(name, details, packed);
      if (error) return error;
    } catch (error) {
      // Details that cannot be read take nothing from code and message.
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return new RpcError(...withoutDetails(name, details, place));
}

function withoutDetails(code: RpcErrorCode, details: string, place: string): ConstructorParameters<typeof RpcError> {
  const problem = `${place}: ${details}`;
  if (code === 'RESOURCE_EXHAUSTED' && /larger than|size larger/.test(details)) {
    return [code, 'MESSAGE_TOO_LARGE', problem, { remedy: messageTooLargeRemedy }];
  }
  if (code === 'UNAVAILABLE') {
    return [
      code,
      code,
      problem,
      { remedy: 'check that the service runs there, and that TLS is on at both ends or at none' },
    ];
  }
  if (code === 'DEADLINE_EXCEEDED') return [code, code, problem, { remedy: 'ask for less, or allow more time' }];
  return [code, code, problem];
}

/** What helps against a message over the limit. */
export const messageTooLargeRemedy = 'send less in one message, or raise maxMessageBytes at both ends';

function encodeStatus(error: RpcError, message: string): Buffer {
  const pairs = Object.entries(error.metadata)
    .slice(0, maxMetadataEntries)
    .map(([key, value]) => [wireText(key, maxMetadataLength), wireText(value, maxMetadataLength)] as const);
  if (error.remedy !== undefined) pairs.push(['remedy', wireText(error.remedy)]);
  const info = Buffer.concat([
    bytesField(1, wireText(error.reason)),
    bytesField(2, domain),
    ...pairs.map(([key, value]) => presentField(3, Buffer.concat([bytesField(1, key), bytesField(2, value)]))),
  ]);
  const details = [any('ErrorInfo', info)];
  if (error.retryAfterMs !== undefined) {
    const seconds = Math.floor(error.retryAfterMs / 1000);
    const nanos = Math.round((error.retryAfterMs - seconds * 1000) * 1e6);
    details.push(any('RetryInfo', presentField(1, Buffer.concat([varintField(1, seconds), varintField(2, nanos)]))));
  }
  return Buffer.concat([
    varintField(1, status[error.code]),
    bytesField(2, message),
    ...details.map((detail) => presentField(3, detail)),
  ]);
}

function any(type: string, message: Buffer): Buffer {
  return Buffer.concat([bytesField(1, typePrefix + type), bytesField(2, message)]);
}

/** Undefined if there is no ErrorInfo. */
function decodeStatus(code: RpcErrorCode, message: string, packed: Buffer): RpcError | undefined {
  let info: Buffer | undefined;
  let retryAfterMs: number | undefined;
  for (const detail of embedded(packed, 3)) {
    const type = text(detail, 1);
    const [value = Buffer.alloc(0)] = embedded(detail, 2);
    if (type === `${typePrefix}ErrorInfo`) info = value;
    if (type === `${typePrefix}RetryInfo`) {
      const [duration] = embedded(value, 1);
      if (duration) retryAfterMs = varintOf(duration, 1) * 1000 + varintOf(duration, 2) / 1e6;
    }
  }
  if (!info) return undefined;
  const pairs = embedded(info, 3).map((entry) => [text(entry, 1), text(entry, 2)] as const);
  const { remedy, ...metadata } = Object.fromEntries(pairs);
  const suffix = `; ${remedy}`;
  const problem = remedy !== undefined && message.endsWith(suffix) ? message.slice(0, -suffix.length) : message;
  return new RpcError(code, text(info, 1), problem, {
    metadata,
    ...(remedy === undefined ? {} : { remedy }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

function embedded(message: Buffer, number: number): Buffer[] {
  return [...wireFields(message)].flatMap(({ number: n, value }) =>
    n === number && Buffer.isBuffer(value) ? [value] : [],
  );
}

function text(message: Buffer, number: number): string {
  return embedded(message, number)[0]?.toString('utf8') ?? '';
}

function varintOf(message: Buffer, number: number): number {
  for (const field of wireFields(message)) {
    if (field.number === number && typeof field.value === 'bigint') return Number(field.value);
  }
  return 0;
}

function codeName(code: number): RpcErrorCode {
  const name = status[code] as keyof typeof status | undefined;
  return name === undefined || name === 'OK' ? 'UNKNOWN' : name;
}

/** Text that can be sent: headers cannot hold half a surrogate pair, nor a whole file. */
/** A text with no more of it than headers have room for. */
export function wireText(value: string, maxLength = maxTextLength): string {
  const cut = value.length > maxLength ? `${value.slice(0, maxLength)} …` : value;
  return cut.toWellFormed();
}
