import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { InputError } from '@infalign/core';
import { fileError } from './rewards/file-error.js';
import { forEachLine } from './rewards/lines.js';

/** A file name without what tells its format: `train` of `train.jsonl.gz`. */
export function fileStem(file: string): string {
  return basename(file).replace(/\.jsonl?(\.gz)?$/, '');
}

/**
 * The files of JSON Lines in a folder, plain or compressed, in order of name.
 *
 * @param extensions that they have, without the dot and without `.gz`
 * @throws InputError when the folder cannot be read or has none
 */
export async function jsonLinesFiles(folder: string, extensions: readonly ('jsonl' | 'json')[]): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw fileError(error, folder);
  });
  const endings = extensions.flatMap((extension) => [`.${extension}`, `.${extension}.gz`]);
  const files = names.filter((name) => endings.some((ending) => name.endsWith(ending))).sort();
  if (files.length === 0) {
    const wanted = endings.map((ending) => `*${ending}`).join(' or ');
    throw new InputError(`${folder}: has no ${wanted} file; put the dataset's own files there`);
  }
  return files.map((name) => join(folder, name));
}

/**
 * Reads a file of one JSON object a line, gzip if its name ends so.
 *
 * @param expected what a line holds, for messages: "an object with ..."
 * @param visit takes an object and its place, such as `train:17`; what it throws is said of the line
 * @throws InputError naming file and line, when a line is malformed or cut off, or the file cannot be read or decompressed
 */
export async function readJsonLines(
  file: string,
  expected: string,
  visit: (record: Readonly<Record<string, unknown>>, place: string) => void,
): Promise<void> {
  const stem = fileStem(file);
  await forEachLine(file, (bytes, start, end, line) => {
    try {
      visit(parseObject(bytes.toString('utf8', start, end), expected), `${stem}:${line}`);
    } catch (error) {
      throw new InputError(`${file}:${line}: ${(error as Error).message}`, { cause: error });
    }
  });
}

function parseObject(line: string, expected: string): Readonly<Record<string, unknown>> {
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch {
    throw new Error(`is not complete JSON; expected ${expected}`);
  }
  if (!isObject(record)) throw new Error(`expected ${expected}`);
  return record;
}

/** Whether a value is a JSON object, and neither an array nor null. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * A field that must be text.
 *
 * @param name the field's name, with those it is within: `info.post`
 * @throws Error that says what is wrong, without the place
 */
export function textField(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new Error(`"${name}" ${value === undefined ? 'is missing' : 'must be text'}`);
  return value;
}
