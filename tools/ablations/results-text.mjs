const digits = 6;

/**
 * The text of docs/results/ablations.json: indented, numbers with six significant digits, objects without objects in them on one line.
 *
 * @param {unknown} results JSON data
 */
export function formatAblations(results) {
  return `${layOut(rounded(results), '')}\n`;
}

function rounded(value) {
  if (typeof value === 'number' && !Number.isInteger(value)) return Number(value.toPrecision(digits));
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, rounded(item)]));
}

function layOut(value, indent) {
  const isNested = (item) => typeof item === 'object' && item !== null;
  const line = JSON.stringify(value);
  if (!isNested(value) || (indent !== '' && line.length + indent.length <= 200)) return line;
  const inner = `${indent}  `;
  if (Array.isArray(value)) return `[\n${value.map((item) => inner + layOut(item, inner)).join(',\n')}\n${indent}]`;
  const entries = Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${layOut(item, inner)}`);
  return `{\n${entries.join(',\n')}\n${indent}}`;
}
