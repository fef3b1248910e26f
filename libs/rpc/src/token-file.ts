import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InputError } from '@infalign/core';

/** A caller's token, as the server knows it. */
export interface AccessToken {
  /** Of the caller. */
  readonly name: string;
  readonly sha256: Buffer;
  /** @param method such as `infalign.v1.CalibratorService/Calibrate` */
  allows(method: string): boolean;
}

/** Shorter tokens can be guessed. */
const minTokenLength = 32;

/**
 * Reads who may call what from a JSON file:
 *
 * ```json
 * { "tokens": [
 *   { "name": "dashboard", "sha256": "9f86…", "allow": ["infalign.v1.EvaluatorService/*"] },
 *   { "name": "operator", "file": "operator.token", "allow": ["*"] } ] }
 * ```
 *
 * A token is given by the SHA-256 of its text, or by a file of its own that others cannot read, relative to this one.
 * `allow` lists methods (`package.Service/Method`), services (`package.Service/*`) or all (`*`). Two tokens may have one
 * name, so that one can replace the other.
 *
 * @throws InputError naming file, entry and remedy
 */
export function readTokenFile(file: string): AccessToken[] {
  const entries = tokenEntries(file);
  const seen = new Set<string>();
  return entries.map((entry, index) => {
    const place = `${file}: tokens[${index}]`;
    const token = accessToken(place, entry, dirname(file));
    const hash = token.sha256.toString('hex');
    if (seen.has(hash)) throw new InputError(`${place}: has the same token as an entry before it; give each its own`);
    seen.add(hash);
    return token;
  });
}

/** The entry of a token, in a time that does not depend on how much of it is right. */
export function findToken(tokens: readonly AccessToken[], presented: string | undefined): AccessToken | undefined {
  if (presented === undefined) return undefined;
  const hash = sha256(presented);
  let found: AccessToken | undefined;
  for (const token of tokens) {
    if (timingSafeEqual(hash, token.sha256)) found = token;
  }
  return found;
}

/**
 * Reads a token from a file of its own, without the space around it.
 *
 * @throws InputError if it cannot be read, or others can read it, or it is no good token
 */
export function readSecretToken(file: string): string {
  let token: string;
  try {
    const mode = statSync(file).mode & 0o777;
    if ((mode & 0o027) !== 0) {
      throw new InputError(
        `${file}: has mode ${mode.toString(8)}, so that others can read or change the token; run chmod 600 ${file}`,
      );
    }
    token = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw unreadable(file, error);
  }
  if (token.length < minTokenLength || /[^\x21-\x7e]/.test(token)) {
    throw new InputError(
      `${file}: holds no token of at least ${minTokenLength} visible ASCII characters; make one with openssl rand -hex 32`,
    );
  }
  return token;
}

function tokenEntries(file: string): unknown[] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw new InputError(`${file}: is not JSON: ${error.message}`);
    throw unreadable(file, error);
  }
  const tokens = isObject(content) ? content['tokens'] : undefined;
  if (!Array.isArray(tokens) || tokens.length === 0) {
    throw new InputError(`${file}: has no tokens; write {"tokens": [{"name", "sha256" or "file", "allow"}, …]}`);
  }
  return tokens;
}

function accessToken(place: string, entry: unknown, folder: string): AccessToken {
  if (!isObject(entry)) throw new InputError(`${place}: is no object; give name, sha256 or file, and allow`);
  const { name, sha256: hash, file, allow, ...others } = entry;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new InputError(`${place}: has the unknown field ${unknown}; only name, sha256, file and allow are known`);
  }
  if (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name)) {
    throw new InputError(`${place}.name: give the caller a name of letters, digits, '.', '_' and '-'`);
  }
  return { name, sha256: tokenHash(place, hash, file, folder), allows: allowance(place, allow) };
}

function tokenHash(place: string, hash: unknown, file: unknown, folder: string): Buffer {
  if (typeof file === 'string' && hash === undefined) return sha256(readSecretToken(resolve(folder, file)));
  if (typeof hash === 'string' && file === undefined && /^[0-9a-f]{64}$/i.test(hash)) return Buffer.from(hash, 'hex');
  throw new InputError(
    `${place}: give either sha256 (64 hexadecimal digits: printf %s TOKEN | sha256sum) or file (one that holds the token)`,
  );
}

function allowance(place: string, allow: unknown): (method: string) => boolean {
  const patterns: unknown[] = Array.isArray(allow) ? allow : [];
  if (patterns.length === 0)
    throw new InputError(`${place}.allow: list methods, such as "infalign.v1.EvaluatorService/*"`);
  const allowed = new Set<string>();
  for (const pattern of patterns) {
    if (typeof pattern !== 'string' || !/^(\*|[\w.]+\/(\*|\w+))$/.test(pattern)) {
      throw new InputError(
        `${place}.allow: ${JSON.stringify(pattern)} is no method; write package.Service/Method, package.Service/* or *`,
      );
    }
    allowed.add(pattern);
  }
  return (method) => allowed.has('*') || allowed.has(method) || allowed.has(`${method.split('/')[0]}/*`);
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unreadable(file: string, error: unknown): InputError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  return new InputError(`${file}: cannot be read (${code}); give a file that this program may read`);
}
