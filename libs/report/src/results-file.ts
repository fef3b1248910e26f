import { InputError } from '@infalign/core';
import type { ZodError } from 'zod';
import { type ExperimentResults, experimentResultsSchema } from './results.js';

/** Enough that no printed figure changes, few enough that the last bits of a sum do not show. */
const SIGNIFICANT_DIGITS = 9;
const LINE_WIDTH = 120;

/**
 * The text of results.json. The same results give the same bytes: keys stand in the schema's order, names of software in
 * alphabetical order, whole numbers in full and all others with nine significant digits.
 *
 * @throws InputError that names the field if the results break their schema: a number that is not finite, say
 */
export function formatResults(results: ExperimentResults): string {
  return `${layOut(validate(roundNumbers(results), 'results'), '')}\n`;
}

/**
 * Reads the text of results.json.
 *
 * @param fileName where the text is from, for messages
 * @throws InputError that names file and field if it is not JSON, or not of this schema
 */
export function parseResults(text: string, fileName: string): ExperimentResults {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(
      `${fileName} is not JSON (${(error as SyntaxError).message}): it may be cut short; run the experiment's report again`,
    );
  }
  return validate(value, fileName);
}

function validate(value: unknown, place: string): ExperimentResults {
  const parsed = experimentResultsSchema.safeParse(value);
  if (!parsed.success) throw new InputError(describeIssues(parsed.error, place));
  const results = parsed.data;
  const software = Object.entries(results.machine.software).sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...results, machine: { ...results.machine, software: Object.fromEntries(software) } };
}

function describeIssues(error: ZodError, place: string): string {
  const lines = error.issues.slice(0, 5).map(({ path, message }) => `${place}: ${pathText(path)}: ${message}`);
  const more = error.issues.length - lines.length;
  return [
    ...lines,
    ...(more > 0 ? [`${place}: and ${more} more`] : []),
    'the file must be a results.json as this version of infalign writes it: make it again with the experiment',
  ].join('\n');
}

function pathText(path: readonly PropertyKey[]): string {
  const text = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return text === '' ? 'the whole file' : text.replace(/^\./, '');
}

function roundNumbers(value: unknown): unknown {
  if (typeof value === 'number') {
    if (!Number.isFinite(value) || Number.isSafeInteger(value)) return value === 0 ? 0 : value;
    return Number(value.toPrecision(SIGNIFICANT_DIGITS));
  }
  if (Array.isArray(value)) return value.map(roundNumbers);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, roundNumbers(item)]));
  }
  return value;
}

/** JSON, indented by two spaces; what fits on one line stays on one, and so do lists of numbers, however long. */
function layOut(value: unknown, indent: string): string {
  const line = onOneLine(value);
  if (typeof value !== 'object' || value === null || indent.length + line.length <= LINE_WIDTH) return line;
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item === 'number')) return line;
    return `[\n${value.map((item) => inner + layOut(item, inner)).join(',\n')}\n${indent}]`;
  }
  const entries = Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${layOut(item, inner)}`);
  return `{\n${entries.join(',\n')}\n${indent}}`;
}

function onOneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(onOneLine).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${onOneLine(item)}`)
    .join(', ')}}`;
}
