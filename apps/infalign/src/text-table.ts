/**
 * A table as lines of text: a heading, and columns as wide as they need to be. The first column is aligned to the left, all
 * others, which hold numbers, to the right.
 *
 * @param columns heads of the columns
 * @param rows as many cells each
 */
export function textTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [columns, ...rows];
  const widths = columns.map((_, place) => Math.max(...lines.map((cells) => cells[place]!.length)));
  return lines
    .map((cells) =>
      cells
        .map((cell, place) => (place === 0 ? cell.padEnd(widths[place]!) : cell.padStart(widths[place]!)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `  ${line}\n`)
    .join('');
}
