import type { Checkpoint } from './manifest.js';

const fileCount = 6;

/** Files that all hold the same number, so that a mixture of two checkpoints shows. */
export function numberedFiles(number: number): Map<string, string> {
  return new Map(
    Array.from({ length: fileCount }, (_, index) => [`part-${index}.json`, `${number} `.repeat(index * 10 + 1)]),
  );
}

/** The number that a checkpoint of `numberedFiles` holds; nothing if it is a mixture, or not whole. */
export function numberOf({ files, metadata }: Checkpoint): number | undefined {
  const { number } = metadata as { readonly number: number };
  const expected = numberedFiles(number);
  const isWhole =
    files.size === expected.size && [...expected].every(([name, text]) => files.get(name)?.toString() === text);
  return isWhole ? number : undefined;
}
