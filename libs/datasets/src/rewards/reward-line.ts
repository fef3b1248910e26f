import { isUtf8 } from 'node:buffer';
import { InputError } from '@infalign/core';
import { type ByteCursor, scanDecimal } from './decimal.js';

/** The field that carries a line's rewards: one number, or a list of them. */
export type RewardField = 'reward' | 'rewards';

/** What a line says about rewards. One object is filled again for every line. */
export interface RewardLine {
  /** An integer id is its decimal digits, so `7` and `"7"` are one prompt. */
  promptId: string;
  /** The first `count` entries are the line's rewards, all finite; the rest is left over from other lines. */
  values: Float64Array;
  count: number;
}

/** Reads the line at bytes[start, end); see `LineVisitor`. The result holds until the next call. */
export type RewardLineReader = (bytes: Buffer, start: number, end: number, line: number) => RewardLine;

const BACKSLASH = 0x5c;
const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;
const LINE_FEED = 0x0a;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;
const QUOTE = 0x22;

/**
 * Makes a reader of lines such as `{"prompt_id": "p1", "rewards": [0.5, 1]}`, or with `"reward": 0.5`. Other fields may
 * be there. Lines of exactly these two fields are read straight from their bytes; `JSON.parse` reads all others, with
 * the same result.
 *
 * @param file - the name to use in messages
 * @param field - the field to read the rewards from
 * @param reservedFields - fields that a line must not have already
 * @returns a reader that throws `InputError`, naming file and line, for malformed JSON, a missing field, an id that is
 * neither a string nor a safe integer, no rewards, and rewards that are not finite numbers
 */
export function createRewardLineReader(
  file: string,
  field: RewardField,
  reservedFields: readonly string[] = [],
): RewardLineReader {
  const read: RewardLine = { promptId: '', values: new Float64Array(256), count: 0 };
  const cursor: ByteCursor = { position: 0 };
  const idKey = Buffer.from('"prompt_id"');
  const fieldKey = Buffer.from(`"${field}"`);
  const shape = `{"prompt_id": "…", ${field === 'reward' ? '"reward": 0.5' : '"rewards": [0.5, …]'}}`;

  const append = (value: number) => {
    if (read.count === read.values.length) {
      const larger = new Float64Array(2 * read.count);
      larger.set(read.values);
      read.values = larger;
    }
    read.values[read.count++] = value;
  };

  const skipSpaces = (bytes: Buffer) => {
    let byte = bytes[cursor.position];
    while (byte === 0x20 || byte === 0x09 || byte === 0x0d) byte = bytes[++cursor.position];
    return byte;
  };

  const skipKey = (bytes: Buffer, key: Buffer) => {
    const start = cursor.position;
    for (let index = 0; index < key.length; index++) if (bytes[start + index] !== key[index]) return false;
    cursor.position += key.length;
    return true;
  };

  const scanPromptId = (bytes: Buffer) => {
    const start = cursor.position;
    if (bytes[start] === QUOTE) {
      let end = start + 1;
      for (let byte = bytes[end]; byte !== QUOTE; byte = bytes[++end]) {
        if (byte === undefined || byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return false;
      }
      if (end === start + 1) return false;
      read.promptId = bytes.toString('latin1', start + 1, end);
      cursor.position = end + 1;
      return true;
    }
    let end = start;
    for (let byte = bytes[end]; byte !== undefined && byte >= 0x30 && byte <= 0x39; byte = bytes[++end]);
    if (end === start || end - start > 15 || (bytes[start] === 0x30 && end - start > 1)) return false;
    read.promptId = bytes.toString('latin1', start, end);
    cursor.position = end;
    return true;
  };

  const scanRewards = (bytes: Buffer) => {
    if (field === 'reward') {
      const value = scanDecimal(bytes, cursor);
      if (!Number.isFinite(value)) return false;
      append(value);
      return true;
    }
    if (bytes[cursor.position] !== OPEN_BRACKET) return false;
    for (;;) {
      cursor.position++;
      skipSpaces(bytes);
      const value = scanDecimal(bytes, cursor);
      if (!Number.isFinite(value)) return false;
      append(value);
      const byte = skipSpaces(bytes);
      if (byte === COMMA) continue;
      if (byte !== CLOSE_BRACKET) return false;
      cursor.position++;
      return true;
    }
  };

  /** True when the line was of exactly the two fields, and has been read. */
  const scanLine = (bytes: Buffer, start: number, end: number) => {
    cursor.position = start;
    if (skipSpaces(bytes) !== OPEN_BRACE) return false;
    let idRead = false;
    for (let member = 0; member < 2; member++) {
      cursor.position++;
      skipSpaces(bytes);
      const isId = skipKey(bytes, idKey);
      if (isId ? idRead : !skipKey(bytes, fieldKey)) return false;
      if (skipSpaces(bytes) !== COLON) return false;
      cursor.position++;
      skipSpaces(bytes);
      if (isId) {
        if (!scanPromptId(bytes)) return false;
        idRead = true;
      } else {
        if (read.count > 0 || !scanRewards(bytes)) return false;
      }
      if (skipSpaces(bytes) !== (member === 0 ? COMMA : CLOSE_BRACE)) return false;
    }
    cursor.position++;
    skipSpaces(bytes);
    return cursor.position === end;
  };

  const parseLine = (bytes: Buffer, start: number, end: number, line: number) => {
    const fail = (problem: string): never => {
      throw new InputError(`${file}:${line}: ${problem}`);
    };
    const terminated = bytes[end] === LINE_FEED;
    const part = bytes.subarray(start, end);
    if (!isUtf8(part)) fail('is not UTF-8 text; write the file as UTF-8 JSON Lines');
    const text = part.toString('utf8');
    let object: unknown;
    try {
      object = JSON.parse(text);
    } catch {
      if (!terminated) fail('the last line is truncated; write the file again, or remove this line');
      if (/[[:,]\s*[+-]?(nan|inf(inity)?)\b/i.test(text)) fail(notFinite('NaN or Infinity'));
      fail(`is not valid JSON; each line must be one object such as ${shape}`);
    }
    if (typeof object !== 'object' || object === null || Array.isArray(object)) {
      return fail(`is ${describe(object)}; each line must be one object such as ${shape}`);
    }
    const fields = object as Readonly<Record<string, unknown>>;
    const need = (name: string): unknown =>
      Object.hasOwn(fields, name)
        ? fields[name]
        : fail(`the field "${name}" is missing (this line has ${quotedList(Object.keys(fields))}); expected ${shape}`);

    const id = need('prompt_id');
    if (typeof id === 'string') {
      if (id === '') fail('prompt_id is empty; give each prompt an id');
      read.promptId = id;
    } else if (typeof id === 'number' && Number.isSafeInteger(id)) {
      read.promptId = String(id);
    } else {
      const hint = typeof id === 'number' && Number.isInteger(id) ? '; write an id above 2^53 − 1 as a string' : '';
      fail(`prompt_id is ${describe(id)}; it must be a string or an integer${hint}`);
    }

    const rewards = need(field);
    if (field === 'reward') {
      if (Array.isArray(rewards)) fail('reward is a list; write one number a line here, one line for each rollout');
      append(finite(rewards, 'reward', fail));
    } else {
      if (!Array.isArray(rewards)) return fail(`rewards is ${describe(rewards)}; it must be a list of numbers`);
      if (rewards.length === 0) fail(`rewards of prompt "${read.promptId}" is empty; give at least one number`);
      rewards.forEach((value: unknown, index) => append(finite(value, `rewards[${index}]`, fail)));
    }

    const reserved = reservedFields.find((name) => Object.hasOwn(fields, name));
    if (reserved !== undefined) {
      fail(`has a field "${reserved}" already, which would be there twice; remove or rename it first`);
    }
  };

  return (bytes, start, end, line) => {
    read.count = 0;
    if (!scanLine(bytes, start, end)) {
      read.count = 0;
      parseLine(bytes, start, end, line);
    }
    return read;
  };
}

function finite(value: unknown, place: string, fail: (problem: string) => never): number {
  if (typeof value !== 'number') return fail(`${place} is ${describe(value)}; it must be a finite number`);
  if (!Number.isFinite(value)) return fail(notFinite(`${place} is too large for a double: it`));
  return value;
}

function notFinite(what: string): string {
  return `${what} is not a finite number; rewards must be finite, so remove or repair this rollout`;
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string')
    return `the string ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
  return typeof value === 'number' ? `the number ${value}` : JSON.stringify(value);
}

function quotedList(names: readonly string[]): string {
  if (names.length === 0) return 'no fields';
  const shown = names.slice(0, 8).map((name) => JSON.stringify(name.length > 40 ? `${name.slice(0, 40)}…` : name));
  return shown.join(', ') + (names.length > shown.length ? ', …' : '');
}
