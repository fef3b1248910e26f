import { InputError } from '@infalign/core';
import { isMap, isScalar, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml';
import type { z } from 'zod';
import { allowedAt, fieldsAt } from './schema-description.js';

/** Longer text is no file of settings, and would take seconds to say so. */
const longestText = 2 ** 16;

/** Levenshtein distance of two words. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The known key that `key` was probably meant to be. */
function nearest(key: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(key.toLowerCase(), candidate) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(2, Math.floor(key.length / 3)) ? best.candidate : undefined;
}

function show(value: unknown): string {
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function dotted(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`),
    '',
  );
}

function holdsAlias(node: Node): boolean {
  let found = false;
  visit(node, { Alias: () => ((found = true), visit.BREAK) });
  return found;
}

/** A YAML file as plain data that still knows the line of each of its parts. */
export interface YamlDocument {
  /** The file's content as plain data. */
  readonly value: unknown;
  /** The error that tells, for every issue, its place in the file, what stands there and what is allowed. */
  rejected(schema: z.ZodType, issues: readonly z.core.$ZodIssue[]): InputError;
}

/**
 * Parses YAML 1.2 text (one document, no repeated keys).
 *
 * @throws InputError naming file, line and column when the text is not YAML, or is too long
 */
export function readYaml(text: string, fileName: string): YamlDocument {
  if (text.length > longestText) {
    throw new InputError(
      `${fileName}: ${text.length} characters are too many for settings; at most ${longestText} are read`,
    );
  }
  const lines = new LineCounter();
  const document: Document.Parsed = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${fileName}:${line}:${col}`;
  };
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    throw new InputError(broken.map((error) => `${at(error.pos[0])}: not valid YAML: ${error.message}`).join('\n'));
  }

  visit(document, {
    Alias(_, alias) {
      // An alias stands for what was anchored before it; several stand for the same, but none may hold another.
      const target = alias.resolve(document);
      if (target !== undefined && !holdsAlias(target)) return;
      const reason = target === undefined ? `there is no anchor &${alias.source}` : 'an alias within an alias';
      throw new InputError(`${at(alias.range?.[0] ?? 0)}: not valid YAML: ${reason}`);
    },
  });

  const startOf = (node: unknown): number | undefined => (node as Node | null | undefined)?.range?.[0];
  const nodeAt = (path: readonly PropertyKey[]): unknown =>
    path.length === 0 ? document.contents : document.getIn(path, true);
  const keyOffset = (path: readonly PropertyKey[], key: PropertyKey | undefined): number | undefined => {
    const map = nodeAt(path);
    if (!isMap(map)) return undefined;
    return startOf(map.items.find((item) => isScalar(item.key) && String(item.key.value) === key)?.key);
  };
  /** Where the value at `path` begins (a block map: its name); for one that is missing, where the map around it begins. */
  const offsetOf = (path: readonly PropertyKey[]): number => {
    const node = nodeAt(path);
    const key = isMap(node) && node.flow !== true ? keyOffset(path.slice(0, -1), path.at(-1)) : undefined;
    return key ?? startOf(node) ?? (path.length === 0 ? 0 : offsetOf(path.slice(0, -1)));
  };
  const value: unknown = document.toJS();
  const valueAt = (path: readonly PropertyKey[]): unknown =>
    path.reduce<unknown>((part, key) => (part as Record<PropertyKey, unknown> | null | undefined)?.[key], value);

  const describe = (schema: z.ZodType, issue: z.core.$ZodIssue): { offset: number; text: string }[] => {
    const { path } = issue;
    if (issue.code === 'unrecognized_keys') {
      const known = fieldsAt(schema, path, valueAt);
      return issue.keys.map((key) => {
        const meant = nearest(key, known);
        const advice = meant === undefined ? `allowed here: ${known.join(', ')}` : `did you mean ${meant}?`;
        return {
          offset: keyOffset(path, key) ?? offsetOf(path),
          text: `${dotted([...path, key])}: no such setting; ${advice}`,
        };
      });
    }
    const found = valueAt(path);
    const field = path.length === 0 ? 'the experiment' : dotted(path);
    const complaint = found === undefined ? 'is missing' : `found ${show(found)}`;
    const text =
      issue.code === 'custom'
        ? issue.message
        : `${complaint}; allowed: ${allowedAt(schema, path, valueAt) ?? issue.message}`;
    return [{ offset: offsetOf(path), text: `${field}: ${text}` }];
  };

  return {
    value,
    rejected: (schema, issues) =>
      new InputError(
        issues
          .flatMap((issue) => describe(schema, issue))
          .sort((a, b) => a.offset - b.offset)
          .map(({ offset, text: problem }) => `${at(offset)}: ${problem}`)
          .join('\n'),
      ),
  };
}
