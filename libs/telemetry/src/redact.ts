/** Names of what gives access. Matched in any spelling: `tokenFile` is a path, and stays. */
const secretNames =
  /(^|[^a-z])(token|password|passwd|passphrase|secret|authorization|credentials?|cookie)$|(api|access|private|secret|session|signing)[-_]?keys?([-_]?id)?$/i;

/** Names of what people wrote or a model answered, as text or as token ids. */
const contentNames = /^(prompt|response|completion|text|content|messages?|(prompt|response)[-_]?(text|tokens))$/i;

const mark = '[redacted]';

/** Deeper structures are cut: a log line is no place for them. */
const maxDepth = 6;

/**
 * A copy of log fields without secrets, and without content unless it is asked for.
 *
 * Under a name such as `token`, `password`, `apiKey` or `authorization`, and under `prompt`, `response`, `text` or
 * `promptTokens`, every value but a number or a truth value is replaced. In any text, `Bearer …` and the user part of a
 * URL are replaced. Errors become `{type, message, stack, …}` with their causes.
 *
 * @param content whether what stands under `prompt`, `response`, `text` or `promptTokens` is shown
 */
export function redacted(fields: Readonly<Record<string, unknown>>, content: boolean): Record<string, unknown> {
  return plainObject(fields, { depth: 0, content });
}

/** Where in a structure we are, and whether content is shown. */
interface Place {
  readonly depth: number;
  readonly content: boolean;
}

function plainObject(fields: object, place: Place): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plainField(name, value, place)]));
}

function plainField(name: string, value: unknown, place: Place): unknown {
  const harmless = value === undefined || value === null || typeof value === 'number' || typeof value === 'boolean';
  if (!harmless && (secretNames.test(snake(name)) || (!place.content && contentNames.test(name)))) return mark;
  return plain(value, place);
}

/** `authToken` → `auth_token`, so that a name's last word can be matched. */
function snake(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2');
}

function plain(value: unknown, place: Place): unknown {
  if (typeof value === 'string') return scrubbed(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (place.depth >= maxDepth) return '[deeper]';
  const below = { ...place, depth: place.depth + 1 };
  if (value instanceof Error) return plainError(value, below);
  if (Array.isArray(value)) return value.map((item) => plain(item, below));
  return plainObject(value, below);
}

function plainError(error: Error, place: Place): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  return {
    ...plainObject(error, place),
    type: name,
    message: scrubbed(message),
    stack: scrubbed(stack ?? ''),
    ...(cause === undefined ? {} : { cause: plain(cause, place) }),
  };
}

function scrubbed(text: string): string {
  return text.replace(/\bBearer\s+[^\s"',]+/gi, `Bearer ${mark}`).replace(/(:\/\/)[^/@\s]+@/g, `$1${mark}@`);
}
