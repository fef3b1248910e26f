import { optimalTransformation } from './frontier.js';
import { InputError } from './input-error.js';
import { parseProcedure } from './procedure.js';
import {
  exponentialTransformation,
  identityTransformation,
  logTransformation,
  type Transformation,
} from './transformation.js';

/** Without a plus sign: names of folders have a dash for it, and could not tell it from a minus. */
const number = String.raw`-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?`;
const exponential = new RegExp(`^exp:(${number})$`, 'i');
const fixedPoint = new RegExp(`^fp:(${number}):(.+)$`, 'i');

/**
 * Reads a transformation: `identity`, `log`, `exp:T`, for example `exp:10` (best-of-N) or `exp:-10` (worst-of-N), or
 * `fp:KL:PROCEDURE`, the best there is for an inference-time procedure at a KL in nats, for example `fp:0.5:bon:4` (see
 * optimalTransformation).
 *
 * @throws InputError that lists what is allowed
 */
export function parseTransformation(text: string): Transformation {
  const name = text.trim();
  if (name === 'identity') return identityTransformation;
  if (name === 'log') return logTransformation;
  const exponent = exponential.exec(name)?.[1];
  if (exponent !== undefined) return exponentialTransformation(Number(exponent));
  const [, kl, procedure] = fixedPoint.exec(name) ?? [];
  if (kl !== undefined && procedure !== undefined) {
    const { transformation } = optimalTransformation(parseProcedure(procedure), { kl: Number(kl) });
    return { ...transformation, name };
  }
  throw new InputError(
    `unknown transformation '${text}': use identity, log, exp:T with a number T, above 0 for best-of-N (exp:10) and below ` +
      '0 for worst-of-N (exp:-10), or fp:KL:PROCEDURE, the best at a KL in nats (fp:0.5:bon:4); numbers have no plus sign',
  );
}
